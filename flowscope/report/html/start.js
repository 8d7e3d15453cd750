// Everything begins here: what is known on the page is brought to life.

switchTheme();
copyButtons();
const pathTable = rowTables();
graphView();
document.documentElement.dataset.ready = "true";
