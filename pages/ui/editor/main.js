// The way in: Streamlit calls `mount` when the editor appears, and again with new data after each run of the page.

import { Editor } from './editor.js';

const LEAST = 460; // CSS pixels
const MARGIN = 16;
const editors = new WeakMap(); // by the element that Streamlit gives us: it outlives a run of the page

/** @param {HTMLElement} root @param {{project: string, sample: ?string, author: string, stamp: string}} data */
export function mount(root, data) {
  root.style.colorScheme = isDark(root) ? 'dark' : 'light'; // for what the browser draws: sliders, lists
  const found = editors.get(root);
  if (found && found.data.project === data.project && found.data.author === data.author) {
    if (data.stamp !== found.data.stamp) found.editor.loadProject().catch((error) => found.editor.tell(error.message));
    if (data.sample && data.sample !== found.data.sample && data.sample !== found.editor.sample) found.editor.open(data.sample);
    found.data = data;
    return;
  }
  found?.editor.close();
  fitHeight(root);
  const editor = new Editor(root, data);
  editors.set(root, { editor, data });
  root.editor = editor; // for tests and benchmarks
  editor.start(data.sample).catch((error) => editor.panels.showFailure(error));
}

/** As high as the window leaves room for below what the page shows above, so that nothing has to be scrolled. */
function fitHeight(root) {
  const fit = () => {
    if (!root.isConnected) { window.removeEventListener('resize', fit); return; }
    const above = root.getBoundingClientRect().top + (scroller(root)?.scrollTop ?? 0);
    if (window.matchMedia('(max-width: 900px)').matches) { root.style.height = ''; return; } // the style sheet stacks all
    root.style.height = `${Math.max(LEAST, window.innerHeight - above - MARGIN)}px`;
  };
  window.addEventListener('resize', fit);
  fit();
}

/** The element that scrolls the page. */
function scroller(root) {
  let element = root.getRootNode().host ?? root;
  while (element && !(element.scrollHeight > element.clientHeight && /auto|scroll/.test(getComputedStyle(element).overflowY))) {
    element = element.parentElement;
  }
  return element;
}

function isDark(root) {
  const color = getComputedStyle(root).getPropertyValue('--st-background-color').trim();
  const [r, g, b] = /^#/.test(color) ? [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16)) : (color.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
  return 0.3 * r + 0.6 * g + 0.1 * b < 128;
}

export function unmount(root) {
  editors.get(root)?.editor.close();
  editors.delete(root);
}
