"use strict";
// The page works without this script: it adds tables that filter and sort, the switch between dark and light, and
// buttons that copy. Text reaches the page through textContent only, never as markup.

const SHOWN = 20;

function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((one) => one !== null && one !== undefined));
  return made;
}

function say(text) { document.getElementById("said").textContent = text; }

function switchTheme() {
  const button = document.getElementById("theme");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
}

function copyButtons() {
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        say("Copied");
        button.textContent = "Copied";
      } catch {
        // Clipboards are not given to every file: the text is selected instead.
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
}

// A table whose rows are numbers into columns of data: only the rows on show are made into elements.
class LiveTable {
  constructor(root, name, columns, count, options) {
    Object.assign(this, { root, name, columns, options, page: 0, sorted: null, ascending: true, text: "", choice: "" });
    this.all = Array.from({ length: count }, (_, at) => at);
    this.words = null;
    root.replaceChildren();
    this.input = make("input", { type: "search", placeholder: "Filter: address, port, state, finding …", "aria-label": `Filter ${name}` });
    this.input.addEventListener("input", () => this.filter(this.input.value, this.choice));
    const controls = make("div", { class: "controls" }, this.input);
    if (options.choices) {
      this.select = make("select", { "aria-label": `Which ${name}` });
      for (const [value, label] of options.choices) this.select.append(make("option", { value }, label));
      this.select.addEventListener("change", () => this.filter(this.text, this.select.value));
      controls.append(this.select);
    }
    this.count = make("span", { role: "status" });
    this.back = make("button", { type: "button", "aria-label": `Earlier ${name}` }, "‹");
    this.next = make("button", { type: "button", "aria-label": `Further ${name}` }, "›");
    this.back.addEventListener("click", () => this.turn(-1));
    this.next.addEventListener("click", () => this.turn(1));
    controls.append(this.count, this.back, this.next);
    const row = make("tr", {});
    if (options.open) row.append(make("th", { scope: "col" }, make("span", { class: "unseen" }, "Open")));
    this.heads = columns.map((column, at) => {
      const button = make("button", { type: "button" }, column.title);
      button.addEventListener("click", () => this.sort(at));
      const head = make("th", { scope: "col", class: column.number ? "number" : null }, button);
      row.append(head);
      return head;
    });
    this.body = make("tbody", {});
    const table = make("table", {}, make("caption", { class: "unseen" }, name), make("thead", {}, row), this.body);
    root.append(controls, make("div", { class: "scroll", role: "region", "aria-label": name, tabindex: "0" }, table));
    this.filter("", options.choice || "");
    if (this.select) this.select.value = this.choice;
  }
  filter(text, choice) {
    this.text = text;
    this.choice = choice;
    const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.length && !this.words) {
      this.words = this.all.map((row) => this.columns.map((column) => column.text(row)).join(" ").toLowerCase());
    }
    // "=10.0.0.1:80" is that endpoint and not 10.0.0.1:8080; "=10.0.0.1:" is any port of that address.
    const meets = (words, one) =>
      one[0] !== "=" ? words.includes(one)
        : ` ${words} `.includes(one.endsWith(":") ? ` ${one.slice(1)}` : ` ${one.slice(1)} `);
    this.rows = this.all.filter((row) =>
      (!choice || this.options.chosen(row, choice)) && wanted.every((one) => meets(this.words[row], one)));
    this.order();
  }
  sort(at) {
    this.ascending = this.sorted === at ? !this.ascending : true;
    this.sorted = at;
    this.order();
  }
  order() {
    if (this.sorted !== null) {
      const column = this.columns[this.sorted];
      const key = column.key || column.text;
      const sign = this.ascending ? 1 : -1;
      const keys = new Map(this.rows.map((row) => [row, key(row)]));
      this.rows.sort((a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        return sign * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y) || a - b;
      });
    }
    this.heads.forEach((head, at) => {
      if (at === this.sorted) head.setAttribute("aria-sort", this.ascending ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    this.page = 0;
    this.draw();
  }
  turn(by) {
    this.page += by;
    this.draw();
  }
  draw() {
    const from = this.page * SHOWN;
    const rows = this.rows.slice(from, from + SHOWN);
    this.body.replaceChildren(...rows.map((row) => this.line(row)));
    const of = this.rows.length === this.all.length ? "" : ` (of ${this.all.length.toLocaleString("en")})`;
    this.count.textContent = this.rows.length
      ? `${(from + 1).toLocaleString("en")} to ${(from + rows.length).toLocaleString("en")} of ${this.rows.length.toLocaleString("en")} ${this.name}${of}`
      : `No ${this.name} match${of}`;
    this.back.disabled = this.page === 0;
    this.next.disabled = from + SHOWN >= this.rows.length;
  }
  line(row) {
    const cells = this.columns.map((column) => {
      const shown = column.show ? column.show(row) : column.text(row);
      return make("td", { class: column.number ? "number" : column.class || null }, shown);
    });
    const line = make("tr", { class: this.options.failed && this.options.failed(row) ? "failed" : null });
    if (this.options.open) {
      const button = make("button", { type: "button", class: "open", "aria-expanded": "false", "aria-label": `Open ${this.options.called(row)}` }, "+");
      button.addEventListener("click", () => {
        const opened = button.getAttribute("aria-expanded") === "true";
        button.setAttribute("aria-expanded", String(!opened));
        button.textContent = opened ? "+" : "−";
        if (opened) line.nextElementSibling.remove();
        else line.after(make("tr", { class: "opened" }, make("td", { colspan: String(cells.length + 1) }, this.options.open(row))));
      });
      line.append(make("td", {}, button));
    }
    line.append(...cells);
    return line;
  }
}

// Columns as lists again: one value that stands throughout is {all}, numbers in sequence are {from}, and a list of one
// number is that number.
function columnsOf(table) {
  const made = {};
  for (const [name, values] of Object.entries(table)) {
    if (values === null || typeof values !== "object" || Array.isArray(values) || name === "findings") made[name] = values;
    else if ("all" in values) made[name] = Array(table.count).fill(values.all);
    else made[name] = Array.from({ length: table.count }, (_, at) => values.from + at);
    if (name === "legs" || name === "flows") made[name] = made[name].map((one) => (Array.isArray(one) ? one : [one]));
  }
  return made;
}

function rowTables() {
  const block = document.getElementById("rows");
  if (!block) return null;
  const data = JSON.parse(block.textContent);
  const [paths, legs, flows] = [data.paths, data.legs, data.flows].map(columnsOf);
  const base = BigInt(data.base_ns) / 1000n;
  const address = (at) => (at === null ? "" : data.addresses[at]);
  const endpoint = (at, port) => {
    const text = address(at);
    return at === null ? "" : port === null ? text : text.includes(":") ? `[${text}]:${port}` : `${text}:${port}`;
  };
  const named = (at, port) => (at !== null && data.names[at] ? `${endpoint(at, port)} ${data.names[at]}` : endpoint(at, port));
  const time = (at) => {
    const micro = base + BigInt(at);
    return `${new Date(Number(micro / 1000n)).toISOString().slice(11, 19)}.${String(micro % 1000000n).padStart(6, "0")}`;
  };
  const protocol = (number) => data.protocols[number] || String(number);
  const word = (at) => (at === null || at === undefined ? "" : data.words[at]);
  const number = (one) => one.toLocaleString("en");
  const links = (ids) => {
    const made = make("span", {});
    ids.split(" ").filter(Boolean).forEach((id, at) => made.append(at ? " " : "", make("a", { href: `#${id}` }, id)));
    return made;
  };
  const end = (table, role) => ({
    title: { client: "Client", frontend: "Frontend", snat: "SNAT", backend: "Reached" }[role],
    text: (row) => named(table[role][row], table[`${role}_port`][row]), class: "endpoint",
  });
  const failed = (row) => paths.failed[row] === 1;
  const sure = (row) => {
    const method = word(paths.method[row]);
    return method === "single" ? "" : `${method} ${paths.confidence[row]} %${paths.ambiguous[row] ? ", ambiguous" : ""}`;
  };
  const flowLine = (at) => {
    const frame = `${data.captures[flows.first_capture[at]]} frame ${flows.first_frame[at]}`;
    return `${data.points[flows.point[at]]}: flow ${flows.id[at]}, ${word(flows.state[at])} ${word(flows.history[at])}, ` +
      `${flows.fwd_packets[at]} packets out, ${flows.rev_packets[at]} back, from ${frame}`;
  };
  const opened = (row) => make("ol", {}, ...paths.legs[row].map((leg) => make("li", {},
    make("code", {}, `${endpoint(legs.src[leg], legs.src_port[leg])} → ${endpoint(legs.dst[leg], legs.dst_port[leg])}`),
    make("ul", {}, ...legs.flows[leg].map((flow) => make("li", {}, flowLine(flow)))))));
  const columns = [
    { title: "Path", text: (row) => String(paths.id[row]), key: (row) => paths.id[row], number: true },
    { title: "Begins (UTC)", text: (row) => time(paths.at[row]), key: (row) => paths.at[row], class: "time" },
    { title: "", text: (row) => protocol(paths.protocol[row]) },
    end(paths, "client"), end(paths, "frontend"), end(paths, "snat"), end(paths, "backend"),
    { title: "Outcome", text: (row) => word(paths.outcome[row]) },
    { title: "Joined by", text: sure },
    { title: "Findings", text: (row) => paths.findings[row] || "", show: (row) => links(paths.findings[row] || "") },
  ];
  if (paths.snat.every((one) => one === null)) columns.splice(5, 1);
  columns[2].title = "Protocol";
  const anyFailed = paths.id.some((_, row) => failed(row));
  const pathTable = new LiveTable(document.getElementById("path-table"), "paths", columns, paths.id.length, {
    choices: [["", "all paths"], ["failed", "failed paths"], ["blamed", "paths of findings"], ["fine", "healthy paths"]],
    choice: anyFailed ? "failed" : "",
    chosen: (row, choice) => ({ failed: failed(row), fine: !failed(row), blamed: row in paths.findings })[choice],
    failed, open: opened, called: (row) => `path ${paths.id[row]}`,
  });
  const legOf = new Map();
  legs.flows.forEach((some, leg) => some.forEach((flow) => legOf.set(flow, leg)));
  const side = (flow, role) => {
    const leg = legOf.get(flow);
    return named(legs[role][leg], legs[`${role}_port`][leg]);
  };
  new LiveTable(document.getElementById("flow-table"), "flows", [
    { title: "Flow", text: (row) => String(flows.id[row]), key: (row) => flows.id[row], number: true },
    { title: "Begins (UTC)", text: (row) => time(flows.at[row]), key: (row) => flows.at[row], class: "time" },
    { title: "Point", text: (row) => data.points[flows.point[row]] || "" },
    { title: "Protocol", text: (row) => protocol(flows.protocol[row]) },
    { title: "From", text: (row) => side(row, "src"), class: "endpoint" },
    { title: "To", text: (row) => side(row, "dst"), class: "endpoint" },
    { title: "State", text: (row) => word(flows.state[row]) },
    { title: "History", text: (row) => word(flows.history[row]) },
    { title: "Packets out", text: (row) => number(flows.fwd_packets[row]), key: (row) => flows.fwd_packets[row], number: true },
    { title: "back", text: (row) => number(flows.rev_packets[row]), key: (row) => flows.rev_packets[row], number: true },
    { title: "Bytes out", text: (row) => number(flows.fwd_bytes[row]), key: (row) => flows.fwd_bytes[row], number: true },
    { title: "back", text: (row) => number(flows.rev_bytes[row]), key: (row) => flows.rev_bytes[row], number: true },
    { title: "Lasts", text: (row) => `${(flows.lasted[row] / 1e6).toFixed(3)} s`, key: (row) => flows.lasted[row], number: true },
  ], flows.id.length, {});
  for (const button of document.querySelectorAll("button.show-route")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      showPaths(pathTable, button.dataset.filter);
    });
  }
  return pathTable;
}

function showPaths(table, text) {
  table.input.value = text;
  table.select.value = "";
  table.filter(text, "");
  table.root.scrollIntoView({ block: "start" });
  table.input.focus({ preventScroll: true });
  say(table.count.textContent);
}
