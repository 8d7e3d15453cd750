// Pan, zoom and select in the picture of the graph.

function graphView() {
  const svg = document.querySelector("svg.path-graph");
  const block = document.getElementById("graph-data");
  if (!svg || !block) return;
  const data = JSON.parse(block.textContent);
  const details = document.getElementById("graph-details");
  const whole = svg.viewBox.baseVal;
  const full = { x: 0, y: 0, width: whole.width, height: whole.height };
  let view = { ...full };
  const show = () => {
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
    svg.classList.toggle("zoomed", view.width < full.width);
  };
  const zoom = (factor, x = view.x + view.width / 2, y = view.y + view.height / 2) => {
    const width = Math.min(Math.max(view.width * factor, full.width / 12), full.width * 1.5);
    const scale = width / view.width;
    view = { x: x - (x - view.x) * scale, y: y - (y - view.y) * scale, width, height: view.height * scale };
    show();
  };
  const spot = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [point.x, point.y];
  };
  const controls = document.getElementById("graph-controls");
  controls.hidden = false;
  for (const button of controls.querySelectorAll("button[data-zoom]")) {
    button.addEventListener("click", () => {
      if (button.dataset.zoom === "fit") { view = { ...full }; show(); }
      else zoom(button.dataset.zoom === "in" ? 0.75 : 1 / 0.75);
    });
  }
  svg.addEventListener("wheel", (event) => {
    // A bare wheel scrolls the page, as everywhere.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.85 : 1 / 0.85, ...spot(event));
  }, { passive: false });

  let held = null;
  let moved = false;
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || (event.pointerType === "touch" && !svg.classList.contains("zoomed"))) return;
    held = spot(event);
    moved = false;
  });
  addEventListener("pointermove", (event) => {
    if (!held) return;
    const [x, y] = spot(event);
    if (!moved && Math.hypot(x - held[0], y - held[1]) < 4) return;
    moved = true;
    view.x -= x - held[0];
    view.y -= y - held[1];
    show();
  });
  addEventListener("pointerup", () => { held = null; });

  const letGo = () => {
    svg.classList.remove("chosen");
    for (const one of svg.querySelectorAll(".on, .picked")) one.classList.remove("on", "picked");
    details.replaceChildren();
  };
  // Edges that paths through the chosen thing take: known ways when there are any, else all that can be reached.
  const waysThrough = (touches) => {
    if (data.routes.length) return new Set(data.routes.filter((route) => route.some(touches)).flat());
    const edges = new Set(Object.keys(data.ends).filter(touches));
    for (const side of [0, 1]) {
      let front = [...edges];
      while (front.length) {
        const nodes = new Set(front.map((key) => data.ends[key][1 - side]));
        front = Object.keys(data.ends).filter((key) => !edges.has(key) && nodes.has(data.ends[key][side]));
        front.forEach((key) => edges.add(key));
      }
    }
    return edges;
  };
  const choose = (part) => {
    letGo();
    const key = part.dataset.key;
    const node = part.classList.contains("node");
    const edges = waysThrough(node ? (edge) => data.ends[edge].includes(key) : (edge) => edge === key);
    const nodes = new Set(node ? [key] : data.ends[key]);
    edges.forEach((edge) => data.ends[edge].forEach((end) => nodes.add(end)));
    for (const one of svg.querySelectorAll(".edge")) one.classList.toggle("on", edges.has(one.dataset.key));
    for (const one of svg.querySelectorAll(".node")) {
      one.classList.toggle("on", nodes.has(one.dataset.key));
      one.classList.toggle("picked", node && one.dataset.key === key);
    }
    part.classList.add("picked");
    svg.classList.add("chosen");
    const called = (end) => data.nodes[end].label;
    const title = node ? called(key) : `${called(data.ends[key][0])} → ${called(data.ends[key][1])}`;
    details.append(make("h3", {}, title));
    const list = make("ul", {});
    if (node) {
      for (const [name, text] of Object.entries(data.nodes[key])) {
        if (name !== "label") list.append(make("li", {}, make("b", {}, name), ` ${text}`));
      }
      for (const [edge, ends] of Object.entries(data.ends)) {
        if (!ends.includes(key)) continue;
        const [way, other] = ends[0] === key ? ["to", ends[1]] : ["from", ends[0]];
        list.append(make("li", {}, make("b", {}, `${way} ${called(other)}`), ` ${data.edges[edge]}`));
      }
    } else {
      list.append(make("li", {}, data.edges[key]));
    }
    details.append(list);
    if (pathTable) {
      const exact = (end) => {
        const { address, port } = data.nodes[end];
        return address ? `=${address.includes(":") ? `[${address}]` : address}:${port || ""}` : "";
      };
      const words = (node ? [key] : data.ends[key]).map(exact).filter(Boolean).join(" ");
      const button = make("button", { type: "button" }, "Show the paths");
      button.addEventListener("click", () => showPaths(pathTable, words));
      details.append(button);
    }
  };
  const partOf = (event) => event.target.closest(".node, .edge");
  svg.addEventListener("click", (event) => {
    const part = partOf(event);
    if (moved) return;
    if (part) choose(part);
    else letGo();
  });
  svg.addEventListener("keydown", (event) => {
    const part = partOf(event);
    if (part && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); choose(part); }
    if (event.key === "Escape") letGo();
    if (event.key === "+") zoom(0.75);
    if (event.key === "-") zoom(1 / 0.75);
  });
}
