// The way back: every state of this picture that was ever saved, on a slider.

import { ask } from './api.js';
import { h } from './list.js';
import { fromWire } from './shapes.js';

const SOURCES = { person: '', import: 'imported', model: 'by the model', outside: 'by another program' };

export class StatesPanel {
  constructor(editor, panels) {
    Object.assign(this, { editor, panels });
    this.states = [];
    this.slider = h('input', { type: 'range', min: 0, step: 1, disabled: true, 'aria-label': 'Earlier states', oninput: () => this._look() });
    this.text = h('p', {});
    this.back = h('button', { type: 'button', hidden: true, onclick: () => this._restore() }, 'Go back to this state');
    this.kept = h('div', { class: 'kept' });
    this.element = h('details', { class: 'states', ontoggle: () => this._load() },
      h('summary', {}, 'Earlier states'), this.slider, this.text, this.back, this.kept);
  }

  /** Another picture: close, and show what is drawn now. */
  forget() {
    this._leave();
    this.states = [];
    this.slider.disabled = true; // until the states of the next picture are known
    this.element.open = false;
  }

  /** Something was saved. */
  changed() {
    if (this.element.open && !this.panels.showsState) this._load();
  }

  async _load() {
    if (!this.element.open) { this._leave(); return; }
    const { doc } = this.editor;
    const [{ states }, { kept }] = await Promise.all([ask(`${doc.path}/states`), ask(`${doc.path}/kept`)]);
    if (doc !== this.editor.doc) return;
    this.states = states;
    this.slider.max = Math.max(0, states.length - 1);
    this.slider.value = states.length - 1;
    this.slider.disabled = states.length < 2;
    this._describe(states.length - 1);
    this.kept.replaceChildren(...kept.map((one) => h('button', {
      type: 'button', title: 'Look at it', onclick: () => this._show(`kept/${encodeURIComponent(one.name)}`, one),
    }, `Not taken: ${one.author}, ${moment(one.time)}, ${one.shapes} shapes`)));
  }

  _describe(at) {
    const state = this.states[at];
    this.text.textContent = state
      ? [`${at + 1} of ${this.states.length}`, state.what, [state.author, SOURCES[state.source]].filter(Boolean).join(' '),
        moment(state.time), `${state.shapes} shape${state.shapes === 1 ? '' : 's'}`].filter(Boolean).join(' · ')
      : 'Nothing was saved yet.';
  }

  async _look() {
    const at = Number(this.slider.value);
    this._describe(at);
    if (at === this.states.length - 1) { this._leave(); return; }
    await this._show(`states/${this.states[at].version}`, this.states[at]);
  }

  /** Show a state in place of what is drawn now. */
  async _show(path, state) {
    const { doc } = this.editor;
    const wanted = (this.wanted = path);
    const found = await ask(`${doc.path}/${path}`);
    if (wanted !== this.wanted || doc !== this.editor.doc) return;
    this.shown = { path, state, shapes: found.shapes };
    this.panels.showsState = found.shapes.map((wire) => fromWire(wire, doc.size));
    this.back.hidden = false;
    this.panels.showShapes();
    this.editor.redraw('shapes');
  }

  _leave() {
    this.wanted = this.shown = null;
    this.back.hidden = true;
    if (!this.panels.showsState) return;
    this.panels.showsState = null;
    this.panels.showShapes();
    this.editor.redraw('shapes');
  }

  async _restore() {
    const { doc } = this.editor;
    const { path, state, shapes } = this.shown;
    this._leave();
    if (path.startsWith('kept/')) {
      const taken = shapes.map((wire) => fromWire(wire, doc.size));
      doc.splice(`Took up what ${state.author} drew`, [{ at: 0, remove: doc.shapes.length, add: taken }]);
    } else {
      await doc.restore(state.version);
    }
    await this._load();
  }
}

function moment(iso) {
  const time = new Date(iso);
  return Number.isNaN(time.valueOf()) ? iso
    : time.toLocaleString('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
}
