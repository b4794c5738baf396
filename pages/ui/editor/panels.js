// What stands around the picture: tools above, pictures on the left, labels and shapes on the right, help and messages.

import { apiUrl, samplePath } from './api.js';
import { CLOSED } from './geometry.js';
import { icon } from './icons.js';
import { KEYS, readable } from './keys.js';
import { h, VirtualList } from './list.js';
import { IGNORE } from './painter.js';
import { cachedArea } from './shapes.js';
import { StatesPanel } from './states.js';

const STATES = {
  todo: ['○', 'to do'], doing: ['◐', 'doing'], review: ['⚑', 'needs review'], done: ['✓', 'done'],
};
const STATUS = {
  loading: 'Opening …', saved: 'Saved', saving: 'Saving …', offline: 'Not saved: no connection. It is tried again …',
  conflict: 'Somebody else saved', failed: 'Cannot be shown',
};
const TOOLS = [
  ['select'], ['polygon', 'rectangle', 'circle', 'line', 'point'], ['brush', 'eraser', 'fill'], ['add', 'subtract', 'cut'],
];
const ACTIONS = [
  ['delete', 'bin'], ['duplicate', 'twin'], ['merge', 'merge'], ['split', 'parts'], ['fillHoles', 'holes'],
  ['removeUnder', 'under'], ['toMask', 'mask'], ['toPolygon', 'polygon'], ['up', 'up'], ['down', 'down'],
];
const MODE_WORDS = { fill: 'Fill', outline: 'Outline', curtain: 'Curtain', blink: 'Blink' };
const KIND_WORDS = { linestrip: 'line', oriented_rectangle: 'turned rectangle' };
const MESSAGE = 6000; // milliseconds
const textOf = Object.fromEntries(KEYS.map((entry) => [entry.id, entry.text]));

export class Panels {
  /** @param {import('./editor.js').Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.search = '';
    this.filter = 'all';
    this.showsState = null; // the shapes of an earlier state, while one is looked at
    this._build();
  }

  _build() {
    const { editor } = this;
    this.canvases = Object.fromEntries(['picture', 'shapes', 'live'].map((name) => [name, h('canvas', { class: name })]));
    this.contexts = Object.fromEntries(Object.entries(this.canvases).map(([name, canvas]) => [name, canvas.getContext('2d')]));
    this.brush = h('div', { class: 'brush', hidden: true });
    this.message = h('div', { class: 'message', role: 'status', hidden: true });
    this.cover = h('div', { class: 'cover', hidden: true });
    this.conflict = h('div', { class: 'conflict', role: 'alert', hidden: true });
    this.stage = h('div', { class: 'stage', tabIndex: 0, 'aria-label': 'Picture' },
      ...Object.values(this.canvases), this.brush, this.cover);
    this.help = h('dialog', { class: 'help' });
    this.toolButtons = {};
    this.status = h('span', { class: 'status' });
    this.zoom = h('span', { class: 'zoom', title: 'Screen pixels for one pixel of the picture' });
    this.place = h('span', { class: 'place' });
    this.states = new StatesPanel(editor, this);
    const bar = h('div', { class: 'bar', role: 'toolbar', 'aria-label': 'Tools' },
      TOOLS.map((group) => h('div', { class: 'group' }, group.map((id) => (this.toolButtons[id] = this._button(id, id))))),
      h('div', { class: 'group' }, this._button('undo', 'undo'), this._button('redo', 'redo')),
      this._brushSize(), h('div', { class: 'space' }), this._lookControls(),
      h('div', { class: 'group' }, this._button('fit', 'fit'), this._button('help', 'help')));
    const middle = h('div', { class: 'middle' }, this.stage, this.conflict, this.message,
      h('div', { class: 'foot' }, this.status, this.place, h('div', { class: 'space' }), this.zoom));
    editor.root.replaceChildren(h('div', { class: 'editor' }, bar,
      h('div', { class: 'body' }, this._pictures(), middle, this._side())), this.help);
  }

  _button(id, sign, onclick = () => this.editor.obey({ id })) {
    return h('button', { type: 'button', class: 'tool', 'data-command': id, title: this._title(id), onclick }, icon(sign));
  }

  _title(id) {
    const entry = KEYS.find((one) => one.id === id);
    const keys = (this.editor.habits.scheme === 'labelme' && entry.labelme) || entry.keys;
    return `${entry.text} (${readable(keys[0])})`;
  }

  _brushSize() {
    this.brushInput = h('input', {
      type: 'range', min: 0, max: 100, 'aria-label': 'Width of the brush',
      oninput: () => this.editor.setBrushWidth(200 ** (this.brushInput.value / 100)),
    });
    this.brushText = h('span', {});
    return (this.brushBox = h('label', { class: 'brushsize', title: 'Width of the brush in pixels of the picture ([ and ], or Ctrl and wheel)' },
      this.brushInput, this.brushText));
  }

  _lookControls() {
    const { editor } = this;
    this.modeSelect = h('select', {
      'aria-label': 'Way of looking', title: this._title('mode'), onchange: () => { editor.setMode(this.modeSelect.value); this.modeSelect.blur(); },
    }, Object.entries(MODE_WORDS).map(([value, text]) => h('option', { value }, text)));
    this.opacity = h('input', {
      type: 'range', min: 0, max: 100, value: 100 * editor.look.opacity, 'aria-label': 'How strong the masks are',
      title: 'How strong the masks are', oninput: () => editor.setOpacity(this.opacity.value / 100),
    });
    this.adjustBox = h('div', { class: 'popover', hidden: true });
    const toggle = h('button', {
      type: 'button', class: 'tool', title: 'Brightness, contrast, gamma, channel: for your eyes only', 'data-command': 'adjust',
      onclick: () => { this.adjustBox.hidden = !this.adjustBox.hidden; },
    }, icon('look'));
    return h('div', { class: 'group look' }, this.modeSelect, this.opacity, h('div', { class: 'anchor' }, toggle, this.adjustBox));
  }

  _showAdjustments() {
    const { editor } = this;
    const look = editor.picture?.look;
    if (!look) return;
    const slider = (key, text, min, max, step) => h('label', {}, h('span', {}, text), h('input', {
      type: 'range', min, max, step, value: key === 'gamma' ? Math.log2(look.gamma) : look[key], 'data-adjust': key,
      oninput: (event) => {
        const value = Number(event.target.value);
        editor.picture.adjust({ ...editor.picture.look, [key]: key === 'gamma' ? 2 ** value : value });
      },
    }));
    const channels = [['all', 'all'], ['r', 'red'], ['g', 'green'], ['b', 'blue']];
    this.adjustBox.replaceChildren(
      slider('brightness', 'Brightness', -100, 100, 1), slider('contrast', 'Contrast', -100, 100, 1),
      slider('gamma', 'Gamma', -2.3, 2.3, 0.05),
      h('label', {}, h('span', {}, 'Channel'), h('select', {
        onchange: (event) => editor.setAdjustment({ channel: event.target.value }),
      }, channels.map(([value, text]) => h('option', { value, selected: look.channel === value }, text)))),
      h('button', { type: 'button', onclick: () => { editor.setAdjustment({ brightness: 0, contrast: 0, gamma: 1, channel: 'all' }); } }, 'As it is'),
      h('small', {}, 'Only what you see changes, not the picture and not the training.'));
  }

  // ----------------------------------------------------------------------------------------------- the pictures

  _pictures() {
    const { editor } = this;
    this.pictureList = new VirtualList(52, (one) => this._pictureRow(one), 'Pictures');
    this.searchInput = h('input', {
      type: 'search', placeholder: 'Search names', 'aria-label': 'Search names',
      oninput: () => { this.search = this.searchInput.value.toLowerCase(); this.showPictures(); },
      onkeydown: (event) => { // the keys are the editor's again
        if (event.key !== 'Enter') return;
        const [first] = this.listed();
        if (first && !this.listed().some((one) => one.name === editor.sample)) editor.open(first.name);
        this.searchInput.blur();
      },
    });
    this.filterSelect = h('select', {
      'aria-label': 'Which pictures', onchange: () => { this.filter = this.filterSelect.value; this.showPictures(); },
    });
    return h('nav', { class: 'pictures' }, this.searchInput, this.filterSelect, this.pictureList.element,
      h('div', { class: 'steps' },
        h('button', { type: 'button', title: this._title('previous'), onclick: () => editor.obey({ id: 'previous' }) }, icon('previous')),
        h('button', { type: 'button', class: 'primary', 'data-command': 'save', title: this._title('save'), onclick: () => editor.obey({ id: 'save' }) }, 'Done, next'),
        h('button', { type: 'button', title: this._title('review'), 'data-command': 'review', onclick: () => editor.obey({ id: 'review' }) }, icon('flag')),
        h('button', { type: 'button', title: this._title('next'), onclick: () => editor.obey({ id: 'next' }) }, icon('next'))));
  }

  /** The pictures that search and filter leave; the open one stays, so that nothing jumps when its state changes. */
  listed() {
    return this.editor.samples.filter((one) => (this.filter === 'all' || one.state === this.filter || one.name === this.editor.sample)
      && one.name.toLowerCase().includes(this.search));
  }

  _pictureRow(one) {
    const { editor } = this;
    const [sign, words] = STATES[one.state] ?? STATES.todo;
    const url = apiUrl(`${samplePath(editor.project, one.name)}/thumbnail?v=${encodeURIComponent(one.stamp)}`);
    return h('div', {
      class: `row picture${one.name === editor.sample ? ' current' : ''}`, role: 'option', title: `${one.name}: ${words}`,
      'aria-selected': String(one.name === editor.sample), 'data-name': one.name, onclick: () => editor.open(one.name),
    }, h('img', { src: url, alt: '', loading: 'lazy', width: 60, height: 46 }),
    h('span', { class: 'name' }, one.name), h('span', { class: `state ${one.state}` }, sign));
  }

  showPictures() {
    const { editor } = this;
    const counts = Object.fromEntries(Object.keys(STATES).map((state) => [state, 0]));
    for (const one of editor.samples) counts[one.state] += 1;
    this.filterSelect.replaceChildren(
      h('option', { value: 'all', selected: this.filter === 'all' }, `All pictures (${editor.samples.length.toLocaleString('en')})`),
      ...Object.entries(STATES).map(([state, [sign, words]]) => h('option', { value: state, selected: this.filter === state },
        `${sign} ${words} (${counts[state].toLocaleString('en')})`)));
    this.pictureList.show(this.listed());
  }

  // -------------------------------------------------------------------------------------------- labels and shapes

  _side() {
    const { editor } = this;
    this.labelBox = h('div', { class: 'labels' });
    this.newLabel = h('input', {
      type: 'text', placeholder: 'New label', 'aria-label': 'New label', maxLength: 60,
      onkeydown: (event) => {
        event.stopPropagation();
        const name = this.newLabel.value.trim();
        if (event.key === 'Escape') this.newLabel.blur();
        if (event.key !== 'Enter' || !name) return;
        this.newLabel.value = '';
        this.newLabel.blur();
        editor.addLabel(name).catch((error) => this.tell(`${error.message} ${error.hint}`));
      },
    });
    this.shapeList = new VirtualList(30, (shape, i) => this._shapeRow(shape, i), 'Shapes');
    this.shapeCount = h('span', {});
    this.actions = h('div', { class: 'actions' }, ACTIONS.map(([id, sign]) => this._button(id, sign)));
    this.findingBox = h('div', { class: 'findings', hidden: true });
    this.suggestBox = h('div', { class: 'suggestions' });
    return h('aside', { class: 'side' },
      h('h3', {}, 'Labels'), this.labelBox, this.newLabel,
      h('h3', {}, 'Shapes', this.shapeCount,
        h('button', { type: 'button', class: 'tool small', title: 'Show or hide all', onclick: () => this._hideAll() }, icon('eye', 15)),
        h('button', { type: 'button', class: 'tool small', title: this._title('fromPrevious'), onclick: () => editor.obey({ id: 'fromPrevious' }) }, icon('copy', 15))),
      this.shapeList.element, this.findingBox, this.actions, this.suggestBox, this.states.element);
  }

  showLabels() {
    const { editor } = this;
    const all = [...editor.labels, { name: IGNORE, color: '#969696' }];
    this.labelBox.replaceChildren(...all.map(({ name, color }, i) => h('button', {
      type: 'button', class: `label${name === editor.label ? ' current' : ''}`, 'data-label': name,
      title: name === IGNORE ? textOf.ignore : textOf.label, 'aria-pressed': String(name === editor.label),
      onclick: () => editor.setLabel(name),
    }, h('i', { style: `background:${color}` }), h('span', {}, name === IGNORE ? 'not labelled' : name),
    h('kbd', {}, name === IGNORE ? '0' : i < 9 ? String(i + 1) : ''))));
    if (!editor.labels.length) this.tell('Name the first label on the right, then draw.');
  }

  showShapes() {
    const { editor } = this;
    if (!editor.doc) return;
    const shapes = this.showsState ?? editor.doc.shapes;
    this.shapeCount.textContent = shapes.length ? ` ${shapes.length.toLocaleString('en')}` : '';
    this.shapeList.show([...shapes].reverse()); // what is painted last lies on top
    const chosen = editor.chosen();
    for (const button of this.actions.children) button.disabled = !chosen.length;
    this._showFindings();
    if (chosen.length === 1 && this.revealed !== chosen[0]) this.shapeList.reveal(shapes.length - 1 - chosen[0]);
    this.revealed = chosen.length === 1 ? chosen[0] : null;
    editor.root.dataset.chosen = chosen.length;
    const { undo, redo } = editor.doc.head;
    for (const [id, what] of [['undo', undo], ['redo', redo]]) {
      const button = editor.root.querySelector(`[data-command="${id}"]`);
      button.title = what ? `${this._title(id)}: ${what}` : this._title(id);
      button.disabled = what === null && !(id === 'undo' && editor.doc.queue.length);
    }
  }

  _shapeRow(shape) {
    const { editor } = this;
    const hidden = editor.hidden.has(shape.id);
    const area = CLOSED.has(shape.kind) || shape.mask ? `${Math.round(cachedArea(shape)).toLocaleString('en')} px` : '';
    const found = editor.findingsOf(shape);
    return h('div', {
      class: `row shape${editor.selected.has(shape.id) ? ' current' : ''}${hidden ? ' gone' : ''}`, role: 'option',
      'aria-selected': String(editor.selected.has(shape.id)), title: `${shape.label}, ${KIND_WORDS[shape.kind] ?? shape.kind}`,
      onclick: (event) => {
        if (editor.toolName !== 'select') editor.setTool('select');
        editor.choose([shape.id], event.shiftKey || event.ctrlKey || event.metaKey ? 'toggle' : 'only');
      },
      ondblclick: () => editor.showShape(shape),
    },
    h('i', { style: `background:rgb(${editor.colorOf(shape.label)})` }),
    h('span', { class: 'name' }, shape.label === IGNORE ? 'not labelled' : shape.label),
    found.length ? h('span', { class: 'warning', title: found.map((one) => one.text).join('\n') }, '⚠') : null,
    h('span', { class: 'area' }, area),
    h('button', {
      type: 'button', class: 'tool small', title: hidden ? 'Show' : 'Hide', onclick: (event) => {
        event.stopPropagation();
        if (hidden) editor.hidden.delete(shape.id);
        else editor.hidden.add(shape.id);
        this.shapeList.render();
        editor.redraw('shapes');
      },
    }, icon(hidden ? 'closed' : 'eye', 15)));
  }

  _hideAll() {
    const { editor } = this;
    if (editor.hidden.size) editor.hidden.clear();
    else for (const shape of editor.doc.shapes) editor.hidden.add(shape.id);
    this.shapeList.render();
    editor.redraw('shapes');
  }

  /** What is wrong with the chosen shapes, as the drawing shows it. */
  findingsShown() {
    const { editor } = this;
    const chosen = editor.chosen();
    return chosen.length > 0 && chosen.length <= 20 ? chosen.flatMap((i) => editor.findingsOf(editor.doc.shapes[i])) : [];
  }

  _showFindings() {
    const found = this.findingsShown();
    this.findingBox.hidden = !found.length;
    this.findingBox.replaceChildren(...[...new Set(found.map((one) => one.text))].slice(0, 4).map((text) => h('p', {}, `⚠ ${text}`)));
  }

  showSuggestions() {
    const { editor } = this;
    const { length } = editor.suggestions;
    editor.root.dataset.suggestions = length;
    if (!editor.hasModel) {
      this.suggestBox.replaceChildren();
      return;
    }
    const button = (text, onclick, kind = '') => h('button', { type: 'button', class: kind, onclick }, text);
    this.suggestBox.replaceChildren(...(editor.suggesting ? [h('p', {}, 'The model looks at the picture …')] : length ? [
      h('p', {}, `${length.toLocaleString('en')} suggestion${length === 1 ? '' : 's'} of ${editor.suggestedBy}, dashed. Click one with V, then Enter takes it and D throws it away.`),
      h('div', { class: 'pair' }, button('Accept all', () => editor.obey({ id: 'acceptAll' }), 'primary'),
        editor.chosenSuggestion ? button('Accept this', () => editor.obey({ id: 'finish' })) : null,
        button(editor.chosenSuggestion ? 'Reject this' : 'Reject all', () => editor.reject(editor.chosenSuggestion ? [editor.chosenSuggestion] : [...editor.suggestions]))),
    ] : [h('button', { type: 'button', title: this._title('suggest'), 'data-command': 'suggest', onclick: () => editor.obey({ id: 'suggest' }) },
      icon('suggest', 16), ' Suggest with the model')]));
  }

  // -------------------------------------------------------------------------------------------------------- states

  showProject() {
    this.showPictures();
    this.showLabels();
    this.showSuggestions();
  }

  showOpening(name) {
    this.showsState = null;
    this.cover.hidden = true;
    this.conflict.hidden = true;
    this.states.forget();
    this.showPictures();
    this.pictureList.reveal(this.listed().findIndex((one) => one.name === name));
    this.pictureList.render();
    this.place.textContent = '';
  }

  showBuilding(progress) {
    this.cover.hidden = false;
    this.cover.replaceChildren(h('p', {}, 'This picture is large. It is cut into tiles once, so that it opens at once from then on.'),
      h('progress', { value: progress, max: 1 }), h('p', {}, `${Math.round(100 * progress)} %. You may go on with other pictures meanwhile.`));
  }

  showFailure(error) {
    this.editor.say('failed');
    this.cover.hidden = false;
    this.cover.replaceChildren(h('p', { class: 'error' }, error.message), h('p', {}, error.hint ?? ''));
  }

  showPicture() {
    this.cover.hidden = true;
    this._showAdjustments();
    this.showSuggestions();
  }

  showState() {
    const { editor } = this;
    const { head } = editor.doc;
    const row = this.listed();
    const at = row.findIndex((one) => one.name === editor.sample);
    const { width, height } = editor.doc.size;
    this.place.textContent = [editor.sample, `${width} × ${height}`, STATES[head.state]?.[1],
      at >= 0 ? `${(at + 1).toLocaleString('en')} of ${row.length.toLocaleString('en')}` : ''].filter(Boolean).join(' · ');
    this.pictureList.render();
    this.states.changed();
    const other = editor.doc.conflictWith;
    this.conflict.hidden = !other;
    if (other) {
      this.conflict.replaceChildren(
        h('p', {}, `${other.author || 'Somebody'} saved this picture while you drew. Nothing is lost: both stay in the history. Which one shall go on?`),
        h('div', { class: 'pair' },
          h('button', { type: 'button', class: 'primary', onclick: () => editor.doc.resolve('theirs') }, 'Theirs'),
          h('button', { type: 'button', onclick: () => editor.doc.resolve('mine') }, 'Mine')));
    }
  }

  showStatus(status) {
    this.status.textContent = STATUS[status] ?? status;
    this.status.className = `status ${status}`;
  }

  showTool() {
    const { editor } = this;
    for (const [id, button] of Object.entries(this.toolButtons)) button.setAttribute('aria-pressed', String(id === editor.toolName));
    this.stage.style.cursor = editor.tool.cursor;
    this.brushBox.hidden = !editor.tool.brush;
    this.brushInput.value = (100 * Math.log(editor.brushWidth)) / Math.log(200);
    this.brushText.textContent = `${editor.brushWidth < 10 ? editor.brushWidth : Math.round(editor.brushWidth)} px`;
    editor.root.dataset.tool = editor.toolName;
    if (!editor.tool.brush) this.hideBrush();
    else if (this.pointer) this.showPointer(this.pointer);
  }

  showLook() {
    this.modeSelect.value = this.editor.look.mode;
    this._showAdjustments();
  }

  showZoom() {
    const { view } = this.editor;
    const zoom = view.scale / view.ratio;
    if (this.pointer && !this.brush.hidden) this.showPointer(this.pointer);
    this.zoom.textContent = `${zoom >= 1 ? Math.round(zoom * 100).toLocaleString('en') : (zoom * 100).toPrecision(2)} %`;
  }

  /** The brush follows the pointer as an element of its own: nothing has to be drawn again. */
  showPointer([x, y]) {
    this.pointer = [x, y];
    const { editor } = this;
    this.stage.style.cursor = editor.tool.cursor;
    if (!editor.tool.brush) return;
    const size = Math.max(3, (editor.brushWidth * editor.view.scale) / editor.view.ratio);
    const { style } = this.brush;
    this.brush.hidden = false;
    this.brush.className = `brush${editor.tool.erasing ? ' erasing' : ''}`;
    style.width = style.height = `${size}px`;
    style.transform = `translate(${x - size / 2}px, ${y - size / 2}px)`;
    style.borderColor = editor.tool.erasing ? '#fff' : `rgb(${editor.colorOf(editor.label)})`;
  }

  hideBrush() { this.brush.hidden = true; }

  tell(text) {
    clearTimeout(this.fading);
    this.message.hidden = !text;
    this.message.textContent = text;
    this.fading = setTimeout(() => { this.message.hidden = true; }, MESSAGE);
  }

  toggleHelp() {
    if (this.help.open) { this.help.close(); return; }
    const { editor } = this;
    const labelme = editor.habits.scheme === 'labelme';
    const groups = [...new Set(KEYS.map((entry) => entry.group))];
    this.help.replaceChildren(
      h('div', { class: 'title' }, h('h2', {}, 'Keys'),
        h('label', {}, h('input', {
          type: 'checkbox', checked: labelme, 'data-adjust': 'scheme', onchange: (event) => {
            editor.keep({ scheme: event.target.checked ? 'labelme' : 'ours' });
            this.help.close();
            for (const button of editor.root.querySelectorAll('[data-command]')) {
              if (KEYS.some((entry) => entry.id === button.dataset.command)) button.title = this._title(button.dataset.command);
            }
            this.toggleHelp();
          },
        }), ' Labelme keys'),
        h('button', { type: 'button', class: 'tool', title: 'Close (Esc)', onclick: () => this.help.close() }, icon('close'))),
      h('div', { class: 'keys' }, groups.map((group) => h('section', {}, h('h3', {}, group),
        KEYS.filter((entry) => entry.group === group).map((entry) => h('div', { class: 'key' },
          h('span', {}, entry.id === 'label' ? [h('kbd', {}, '1'), 'to', h('kbd', {}, '9')]
            : ((labelme && entry.labelme) || entry.keys).map((key) => h('kbd', {}, readable(key)))),
          h('span', {}, entry.text)))))),
      h('p', {}, 'Wheel zooms at the pointer. Right or middle button, Alt, or two fingers move the picture.'));
    this.help.showModal();
  }

  /** True when something was open and is closed now. */
  closeOverlays() {
    if (this.help.open) { this.help.close(); return true; }
    if (!this.adjustBox.hidden) { this.adjustBox.hidden = true; return true; }
    return false;
  }
}

