// The editor: one picture, its shapes, the tool in hand. What stands around the picture is in panels.js.

import { ask, projectPath, samplePath } from './api.js';
import { AnnotationDocument } from './document.js';
import { findings } from './checks.js';
import { commandOf } from './keys.js';
import { Painter, IGNORE } from './painter.js';
import { Panels } from './panels.js';
import { AS_IS, TiledPicture } from './picture.js';
import { unionBox } from './bitmap.js';
import { changed, cachedBox, fromWire, movedShape, toWire, twin } from './shapes.js';
import { makeTools } from './tools.js';
import { View } from './view.js';

const BLINK = 500; // milliseconds
const LOOK_AGAIN = 15000; // milliseconds between questions whether somebody else saved
const NOTHING = new Set();
// what a key may do while the pointer holds something
const WHILE_HELD = new Set(['giveUp', 'smaller', 'larger', 'fit', 'actual', 'zoomIn', 'zoomOut', 'mode']);
const MODES = ['fill', 'outline', 'curtain', 'blink'];
const KEPT = 'maskloop:editor'; // in the browser's store: habits, nothing that was drawn
const DRAFT = 'maskloop:draft'; // in the browser's store: an outline whose last point is not set
const NUDGES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Editor {
  /** @param {HTMLElement} root an empty element */
  constructor(root, data) {
    this.root = root;
    this.project = data.project;
    this.author = data.author;
    this.view = new View();
    this.painter = new Painter(this.view, (label) => this.colorOf(label));
    this.habits = { opacity: 0.4, brush: 20, scheme: 'ours', mode: 'fill', tool: 'select', ...readHabits() };
    this.look = { mode: this.habits.mode, opacity: this.habits.opacity, curtain: 0.5, shown: true };
    this.tools = makeTools(this);
    this.tool = this.tools.select;
    this.toolName = 'select';
    this.selected = new Set(); // ids of shapes
    this.hidden = new Set();
    this.labels = [];
    this.colors = new Map(); // label -> [r, g, b]
    this.samples = [];
    this.label = '';
    this.suggestions = [];
    this.clipboard = [];
    this.previewed = new Map(); // index -> the shape as it was
    this.stale = { picture: true, shapes: true, live: true, box: null };
    this.frames = []; // durations of the last frames, for benchmarks
    this.stop = new AbortController();
    this.panels = new Panels(this);
    this._listen();
  }

  // ----------------------------------------------------------------------------------------- project and pictures

  async start(sample) {
    await this.loadProject();
    if (!this.samples.length) return;
    const wanted = this.samples.find((one) => one.name === sample)
      ?? this.samples.find((one) => one.name === this.habits.last?.[this.project])
      ?? this.samples.find((one) => one.state === 'todo' || one.state === 'doing') ?? this.samples[0];
    await this.open(wanted.name);
    if (!this.tool.busy) this.setTool(this.tools[this.habits.tool] ? this.habits.tool : 'select');
  }

  async loadProject() {
    const project = await ask(projectPath(this.project), null, this.stop.signal);
    this.labels = project.labels;
    this.colors = new Map();
    this.preset = project.preset;
    this.hasModel = project.has_model;
    this.samples = project.samples;
    this.label ||= this.habits.labels?.[this.project] ?? '';
    if (!this.labels.some((label) => label.name === this.label) && this.label !== IGNORE) {
      this.label = this.labels[0]?.name ?? '';
    }
    this.panels.showProject();
  }

  /** Show another picture; what was drawn on this one is saved first. */
  async open(name) {
    const order = (this.order = (this.order ?? 0) + 1);
    this.tool.leave();
    const before = this.doc;
    if (before) {
      await Promise.race([before.settled(), new Promise((resolve) => setTimeout(resolve, 3000))]);
      if (order !== this.order) return;
      before.close();
    }
    this.opened = performance.now();
    this.say('loading');
    this.sample = name;
    this.previous = before && before.status !== 'loading' ? before.sample : this.neighbour(-1)?.name;
    const doc = new AnnotationDocument(this.project, name, this.author);
    const picture = new TiledPicture(this.project, name, () => this.redraw('picture'));
    this.picture?.close();
    [this.doc, this.picture] = [doc, picture];
    this.selected.clear();
    this.hidden.clear();
    this.suggestions = [];
    this.previewed.clear();
    this.panels.showOpening(name);
    doc.addEventListener('change', ({ detail }) => { if (doc === this.doc) this._shapesChanged(detail.box); });
    doc.addEventListener('status', () => { if (doc === this.doc) this._statusChanged(); });
    doc.addEventListener('refused', ({ detail }) => this.tell(`${detail.message} ${detail.hint}`));
    doc.addEventListener('renewed', ({ detail }) => this.tell(`${detail.author} saved this picture meanwhile; this is theirs.`));
    try {
      const [info] = await Promise.all([
        picture.open((progress) => this.panels.showBuilding(progress)),
        doc.open(this.stop.signal),
      ]);
      if (doc !== this.doc) return;
      this.view.show(info);
      await picture.ready(this.view);
    } catch (error) {
      if (doc === this.doc && error.name !== 'AbortError') this.panels.showFailure(error);
      return;
    }
    if (doc !== this.doc) return;
    this.panels.showPicture();
    this.redraw();
    this._statusChanged();
    this._rememberAddress();
    const draft = this.readDraft();
    if (draft) this.setTool(draft.purpose);
    requestAnimationFrame(() => { this.root.dataset.openedIn = Math.round(performance.now() - this.opened); });
  }

  /** The picture so many places away in the list as it is filtered. */
  neighbour(step) {
    const listed = this.panels.listed();
    const at = listed.findIndex((one) => one.name === this.sample);
    if (at >= 0) return listed[at + step];
    const place = this.samples.findIndex((one) => one.name === this.sample); // it is not in the filtered list
    const rest = listed.filter((one) => (this.samples.indexOf(one) - place) * step > 0);
    return step > 0 ? rest[0] : rest.at(-1);
  }

  async go(step) {
    const next = this.neighbour(step);
    if (next) await this.open(next.name);
    else this.tell(step > 0 ? 'This is the last picture of the list.' : 'This is the first picture of the list.');
  }

  async finish(state) {
    if (this.tool.busy && this.tool.command({ id: 'finish' }) && this.tool.busy) return;
    await this.doc.setState(state);
    const next = this.neighbour(1) ?? this.panels.listed().find((one) => one.state === 'todo' || one.state === 'doing');
    if (next && next.name !== this.sample) await this.open(next.name);
    else this.tell('That was the last picture of the list.');
  }

  _rememberAddress() {
    const url = new URL(location.href);
    url.searchParams.set('project', this.project);
    url.searchParams.set('sample', this.sample);
    history.replaceState(history.state, '', url);
    this.keep({ last: { ...this.habits.last, [this.project]: this.sample } });
  }

  // --------------------------------------------------------------------------------------------------- selection

  /** Indexes of the chosen shapes, in painting order. */
  chosen() {
    return this.doc.shapes.flatMap((shape, i) => (this.selected.has(shape.id) ? [i] : []));
  }

  choose(ids, how = 'only') {
    if (how === 'only') this.selected = new Set(ids);
    else for (const id of ids) {
      if (how === 'toggle' && this.selected.has(id)) this.selected.delete(id);
      else this.selected.add(id);
    }
    this.justDrawn = null;
    this.panels.showShapes();
    this.redraw('shapes');
  }

  // ----------------------------------------------------------------------------------------------------- changing

  get size() { return this.doc.size; }

  needsLabel() {
    if (this.label) return true;
    this.tell('Name a label first, on the right.');
    return false;
  }

  /** Not while the server works something out, or somebody else's save waits for a choice. */
  get mayDraw() {
    return this.doc && !this.doc.blocked && !this.doc.conflictWith && !this.panels.showsState
      && !['loading', 'failed'].includes(this.doc.status);
  }

  add(what, shape) {
    this.doc.append(what, [shape]);
    this.choose([shape.id]);
    this.justDrawn = shape.id;
  }

  /** Show a shape as it would be, until it is committed or dropped. */
  preview(index, shape) {
    const { shapes } = this.doc;
    if (!this.previewed.has(index)) this.previewed.set(index, shapes[index]);
    const box = unionBox(cachedBox(shapes[index]), cachedBox(shape));
    shapes[index] = shape;
    this.redrawShapes(box);
  }

  commitPreview(what) {
    const replaced = [...this.previewed.keys()].map((i) => [i, this.doc.shapes[i]]);
    this.previewed.clear();
    if (replaced.length) this.doc.replace(what, replaced);
  }

  dropPreview() {
    for (const [i, shape] of this.previewed) this.doc.shapes[i] = shape;
    this.previewed.clear();
    this.redraw('shapes');
  }

  /** What the server works out. The results are chosen. */
  async operate(what, name, at, points = undefined, options = {}) {
    if (!at.length) {
      this.tell('Choose a shape first, with V and a click.');
      return;
    }
    const ids = at.map((i) => this.doc.shapes[i].id);
    const before = new Set(this.doc.shapes.map((shape) => shape.id));
    try {
      const answer = await this.doc.operate(what, name, at, points, options);
      if (answer.notes?.length) this.tell(answer.notes.join(' '));
      const fresh = this.doc.shapes.filter((shape) => !before.has(shape.id)).map((shape) => shape.id);
      this.choose([...fresh, ...ids]);
    } catch {
      // the document has said why and shows what the server has
    }
  }

  /** Undo or redo. Several may be asked for while the first is on its way. */
  async step(direction) {
    if (this.doc.conflictWith || this.panels.showsState || this.doc.status === 'failed') return;
    try {
      const done = await this.doc[direction]();
      if (!done) this.tell(direction === 'undo' ? 'There is nothing to undo.' : 'There is nothing to redo.');
    } catch {
      // said by the document
    }
  }

  setLabel(name) {
    this.label = name;
    this.keep({ labels: { ...this.habits.labels, [this.project]: name } });
    const at = this.toolName === 'select' ? this.chosen() : [];
    const others = at.filter((i) => this.doc.shapes[i].label !== name);
    if (others.length) {
      this.doc.replace(`Relabelled: ${name}`, others.map((i) => [i, changed(this.doc.shapes[i], { label: name })]));
    } else if (this.toolName !== 'select') this.choose([]); // what is drawn next is another thing
    this.panels.showLabels();
    this.touch();
  }

  async addLabel(name) {
    const { labels } = await ask(`${projectPath(this.project)}/labels`, { name });
    this.labels = labels;
    this.colors = new Map();
    this.setLabel(name);
  }

  colorOf(label) {
    if (label === IGNORE) return [150, 150, 150];
    if (!this.colors.has(label)) {
      const known = this.labels.find((one) => one.name === label);
      const hex = known?.color ?? '#9a9a9a';
      this.colors.set(label, [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
    }
    return this.colors.get(label);
  }

  deleteChosen() {
    const at = this.chosen();
    if (this.chosenSuggestion) { this.reject([this.chosenSuggestion]); return; }
    if (!at.length) { this.tell('Choose what to delete first, with V and a click.'); return; }
    this.doc.remove(at.length > 1 ? `Deleted ${at.length} shapes` : `Deleted: ${this.doc.shapes[at[0]].label}`, at);
    this.choose([]);
  }

  duplicate() {
    const copies = this.chosen().map((i) => movedShape(twin(this.doc.shapes[i]), 10, 10));
    if (!copies.length) return;
    this.doc.append(copies.length > 1 ? `Duplicated ${copies.length} shapes` : 'Duplicated a shape', copies);
    this.choose(copies.map((shape) => shape.id));
  }

  copy() {
    const wires = this.chosen().map((i) => toWire(this.doc.shapes[i]));
    if (!wires.length) { this.tell('Choose what to copy first, with V and a click.'); return; }
    this.clipboard = wires;
    this.tell(`${wires.length} copied. Paste them here or on another picture.`);
  }

  paste(wires = this.clipboard, what = 'Pasted') {
    if (!wires.length) return;
    const shapes = wires.map((wire) => fromWire(wire, this.size)).filter((shape) => !shape.mask || shape.mask.bounds());
    this.doc.append(`${what} ${shapes.length} shape${shapes.length === 1 ? '' : 's'}`, shapes);
    this.choose(shapes.map((shape) => shape.id));
  }

  async fromPrevious() {
    const other = this.previous ?? this.neighbour(-1)?.name;
    if (!other || other === this.sample) { this.tell('There is no picture before this one.'); return; }
    const found = await ask(`${samplePath(this.project, other)}/document`);
    if (!found.shapes.length) { this.tell(`${other} has no shapes.`); return; }
    this.paste(found.shapes, `Copied from ${other}:`);
  }

  /** Paint chosen shapes later (1) or earlier (-1). */
  reorder(step) {
    const at = this.chosen();
    const { shapes } = this.doc;
    const rest = shapes.filter((shape) => !this.selected.has(shape.id));
    const next = step > 0 ? at.at(-1) + 1 : at[0] - 1;
    if (!at.length || next < 0 || next >= shapes.length) return;
    const ids = at.map((i) => shapes[i].id);
    const place = rest.indexOf(shapes[next]) + (step > 0 ? 1 : 0);
    const order = [...rest.slice(0, place), ...at.map((i) => shapes[i]), ...rest.slice(place)];
    const low = Math.min(at[0], next);
    const high = Math.max(at.at(-1), next) + 1;
    this.doc.splice(step > 0 ? 'Moved up' : 'Moved down', [{ at: low, remove: high - low, add: order.slice(low, high) }]);
    this.choose(ids);
  }

  nudge([dx, dy]) {
    const at = this.chosen();
    if (at.length) this.doc.replace('Moved by a pixel', at.map((i) => [i, movedShape(this.doc.shapes[i], dx, dy)]));
  }

  // -------------------------------------------------------------------------------------------------- suggestions

  async suggest() {
    if (this.suggesting) return;
    const doc = this.doc;
    this.suggesting = true;
    this.panels.showSuggestions();
    try {
      const answer = await ask(`${samplePath(this.project, doc.sample)}/suggest`, {});
      if (doc !== this.doc) return;
      this.suggestions = answer.shapes.map((wire) => fromWire(wire, doc.size));
      this.suggestedBy = answer.model;
      this.tell(answer.note || (this.suggestions.length ? '' : 'The model sees nothing here.'));
    } catch (error) {
      this.tell(`${error.message} ${error.hint ?? ''}`);
    } finally {
      this.suggesting = false;
      this.panels.showSuggestions();
      this.redraw('live');
    }
  }

  async accept(suggestions) {
    const known = new Set([...this.labels.map((label) => label.name), IGNORE]);
    for (const name of new Set(suggestions.map((shape) => shape.label))) if (!known.has(name)) await this.addLabel(name);
    const taken = new Set(suggestions);
    this.suggestions = this.suggestions.filter((shape) => !taken.has(shape));
    this.chosenSuggestion = null;
    const what = suggestions.length === 1 ? `Accepted a suggestion of ${this.suggestedBy}: ${suggestions[0].label}` : `Accepted ${suggestions.length} suggestions of ${this.suggestedBy}`;
    this.doc.append(what, suggestions);
    this.choose(suggestions.length === 1 ? [suggestions[0].id] : []);
    this.panels.showSuggestions();
  }

  reject(suggestions) {
    const gone = new Set(suggestions);
    this.suggestions = this.suggestions.filter((shape) => !gone.has(shape));
    this.chosenSuggestion = null;
    this.panels.showSuggestions();
    this.redraw('live');
  }

  // ------------------------------------------------------------------------------------------------------ looking

  setTool(name) {
    if (name === this.toolName && this.tool.busy) return;
    this.tool.leave();
    const drawn = this.justDrawn;
    this.tool = this.tools[name];
    this.toolName = name;
    this.keep({ tool: name });
    if (drawn && (name === 'brush' || name === 'eraser')) { // a new stroke is a new thing, not part of the outline
      const shape = this.doc?.shapes.find((one) => one.id === drawn);
      if (shape && !shape.mask) this.choose([]);
    }
    this.tool.enter();
    this.panels.showTool();
    this.touch();
  }

  get _draftKey() { return `${DRAFT}:${this.project}:${this.sample}`; }

  keepDraft(draft) {
    try {
      if (draft) localStorage.setItem(this._draftKey, JSON.stringify(draft));
      else localStorage.removeItem(this._draftKey);
    } catch {
      // the browser's store is full or forbidden: the outline lives as long as the page
    }
  }

  readDraft() {
    try {
      const draft = JSON.parse(localStorage.getItem(this._draftKey));
      return draft && this.tools[draft.purpose]?.keep ? draft : null;
    } catch {
      return null;
    }
  }

  setBrushWidth(width) {
    this.keep({ brush: Math.round(Math.max(1, Math.min(1000, width)) * 10) / 10 });
    this.panels.showTool();
  }

  get brushWidth() { return this.habits.brush; }

  setMode(mode) {
    this.look.mode = mode;
    this.look.shown = true;
    this.keep({ mode });
    clearInterval(this.blinking);
    if (mode === 'blink') {
      this.blinking = setInterval(() => {
        this.look.shown = !this.look.shown;
        this.redraw('shapes');
      }, BLINK);
    }
    this.panels.showLook();
    this.redraw('shapes');
  }

  setOpacity(opacity) {
    this.look.opacity = opacity;
    this.keep({ opacity });
    this.redraw('shapes');
  }

  setAdjustment(values) {
    this.picture.adjust({ ...this.picture.look, ...values });
    this.panels.showLook();
  }

  zoom(factor) {
    this.view.zoomAt(this.view.width / this.view.ratio / 2, this.view.height / this.view.ratio / 2, factor);
    this.redraw();
  }

  /** Put a shape into the middle of the view, as large as is sensible. */
  showShape(shape) {
    const [x, y, w, h] = cachedBox(shape);
    const { view } = this;
    const zoom = Math.min(view.width / view.ratio / (w * 2.5), view.height / view.ratio / (h * 2.5), 16);
    view.centre([x + w / 2, y + h / 2], Math.max(zoom, view.scale / view.ratio > zoom ? zoom : 0.01));
    this.redraw();
  }

  keep(habits) {
    Object.assign(this.habits, habits);
    try {
      localStorage.setItem(KEPT, JSON.stringify(this.habits));
    } catch {
      // only a habit
    }
  }

  tell(message) { this.panels.tell(message); }

  say(status) {
    this.root.dataset.status = status;
    this.panels.showStatus(status);
  }

  // ------------------------------------------------------------------------------------------------------ drawing

  /** Handles and outlines in the making have changed. */
  touch() { this.redraw('live'); }

  redraw(layer = null) {
    if (layer === null) Object.assign(this.stale, { picture: true, shapes: true, live: true, box: null });
    else {
      this.stale[layer] = true;
      if (layer === 'shapes') { this.stale.box = null; this.stale.live = true; }
    }
    this._schedule();
  }

  /** Shapes have changed inside of this box of picture pixels only. */
  redrawShapes(box) {
    if (!this.stale.shapes) this.stale.box = unionBox(this.stale.box, box);
    this.stale.live = true;
    this._schedule();
  }

  _schedule() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.stop.signal.aborted || !this.doc || !this.picture) return;
      const begun = performance.now();
      this._draw();
      this.frames.push(performance.now() - begun);
      if (this.frames.length > 1000) this.frames.splice(0, 500);
    });
  }

  _draw() {
    const { painter, panels, stale, view } = this;
    this.stale = { picture: false, shapes: false, live: false, box: null };
    if (stale.list) panels.showShapes();
    if (stale.picture) {
      this.picture.draw(panels.contexts.picture, view);
      panels.showZoom();
    }
    const shapes = panels.showsState ?? this.doc.shapes;
    // while pixels are painted their outline would only be made again and again
    const how = { hidden: this.hidden, selected: this.tool.brush && this.tool.busy ? NOTHING : this.selected };
    if (stale.shapes) painter.drawAll(panels.contexts.shapes, shapes, this.look, how);
    else if (stale.box) painter.drawAll(panels.contexts.shapes, shapes, this.look, how, stale.box);
    if (stale.live || stale.shapes || stale.box) this._drawLive(panels.contexts.live);
  }

  _drawLive(context) {
    const { painter, view } = this;
    view.inDevice(context);
    context.clearRect(0, 0, view.width, view.height);
    for (const shape of this.suggestions) {
      painter.drawShape(context, shape, this.look, { dashed: true, selected: shape === this.chosenSuggestion });
    }
    if (this.mayDraw) this.tool.draw(context, painter);
    for (const { place } of this.panels.findingsShown()) if (place) painter.drawFinding(context, place);
    if (this.look.mode === 'curtain') painter.drawCurtain(context, this.look.curtain);
  }

  /** What is wrong with a shape by the project's rules; kept until the shape changes. */
  findingsOf(shape) {
    return (shape.found ??= shape.mask ? [] : findings(toWire(shape), this.size, this.preset));
  }

  /** @param {?number[]} box the part of the picture where shapes changed; undefined: anywhere, null: nowhere */
  _shapesChanged(box) {
    const ids = new Set(this.doc.shapes.map((shape) => shape.id));
    for (const id of this.selected) if (!ids.has(id)) this.selected.delete(id);
    this.root.dataset.shapes = this.doc.shapes.length;
    this.stale.list = true;
    if (box) this.redrawShapes(box);
    else this.redraw(box === null ? 'live' : 'shapes');
  }

  _statusChanged() {
    const { head, status } = this.doc;
    this.root.dataset.sample = this.sample;
    this.root.dataset.version = head.version;
    if (this.doc.savedIn) this.root.dataset.savedIn = Math.round(this.doc.savedIn);
    this.say(status);
    const entry = this.samples.find((one) => one.name === this.sample);
    if (entry) Object.assign(entry, { state: head.state, version: head.version, shapes: this.doc.shapes.length });
    this.panels.showState();
  }

  // ------------------------------------------------------------------------------------------------------ events

  _listen() {
    const { signal } = this.stop;
    const { stage } = this.panels;
    const on = (target, name, heard, options = {}) => target.addEventListener(name, heard, { signal, ...options });
    this.pointers = new Map();
    on(stage, 'pointerdown', (event) => this._down(event));
    on(stage, 'pointermove', (event) => this._move(event));
    on(stage, 'pointerup', (event) => this._up(event));
    on(stage, 'pointercancel', (event) => this._up(event));
    on(stage, 'pointerleave', () => this.panels.hideBrush());
    on(stage, 'dblclick', (event) => { if (this.mayDraw) this.tool.double(this._point(event), event); });
    on(stage, 'contextmenu', (event) => event.preventDefault());
    on(stage, 'wheel', (event) => this._wheel(event), { passive: false });
    on(document, 'keydown', (event) => this._key(event), { capture: true });
    on(document, 'keyup', (event) => this._keyUp(event), { capture: true });
    on(window, 'blur', () => this._show(true));
    on(document, 'visibilitychange', () => { if (!document.hidden) this.doc?.look().catch(() => {}); });
    new ResizeObserver(() => this.resize()).observe(stage);
    this.watching = setInterval(() => { if (!document.hidden) this.doc?.look().catch(() => {}); }, LOOK_AGAIN);
    signal.addEventListener('abort', () => {
      clearInterval(this.watching);
      clearInterval(this.blinking);
      this.picture?.close();
      this.doc?.close();
    });
  }

  resize() {
    const { stage, canvases } = this.panels;
    const ratio = window.devicePixelRatio || 1;
    if (!stage.clientWidth || !this.view.resize(stage.clientWidth, stage.clientHeight, ratio)) return;
    for (const canvas of Object.values(canvases)) {
      canvas.width = this.view.width;
      canvas.height = this.view.height;
    }
    this.redraw();
  }

  _screen(event) {
    const box = this.panels.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  _point(event) { return this.view.toPicture(...this._screen(event)); }

  _down(event) {
    if (!this.doc || this.root.dataset.status === 'loading') return;
    document.activeElement?.blur?.();
    this.panels.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this._screen(event));
    if (this.pointers.size === 2) { // two fingers: zoom and move
      if (this.tool.busy) this.tool.pinched();
      this.pinch = true;
      return;
    }
    const [x] = this._screen(event);
    if (this.look.mode === 'curtain' && Math.abs(x - this.look.curtain * this.view.width / this.view.ratio) < 10) {
      this.dragging = 'curtain';
    } else if (event.button === 1 || event.button === 2 || (event.pointerType !== 'touch' && event.altKey)) {
      this.dragging = 'picture';
      this.last = this._screen(event);
    } else if (event.button === 0) {
      const suggestion = this._suggestionAt(this._point(event));
      if (suggestion && !this.tool.busy) {
        this.chosenSuggestion = suggestion === this.chosenSuggestion ? null : suggestion;
        this.panels.showSuggestions();
        this.touch();
      } else if (this.mayDraw) {
        this.doc.inHand = true;
        this.tool.down(this._point(event), event);
      }
    }
  }

  _suggestionAt([x, y]) {
    if (this.toolName !== 'select') return null;
    return this.suggestions.find((shape) => shape.mask?.get(Math.floor(x), Math.floor(y))) ?? null;
  }

  _move(event) {
    if (!this.doc) return;
    const here = this._screen(event);
    const before = this.pointers.get(event.pointerId);
    if (this.pinch && before) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const factor = Math.hypot(here[0] - other[0], here[1] - other[1]) / Math.hypot(before[0] - other[0], before[1] - other[1]);
        this.view.zoomAt((here[0] + other[0]) / 2, (here[1] + other[1]) / 2, factor || 1);
        this.view.pan((here[0] - before[0]) / 2, (here[1] - before[1]) / 2);
        this.redraw();
      }
      this.pointers.set(event.pointerId, here);
      return;
    }
    if (before) this.pointers.set(event.pointerId, here);
    if (this.dragging === 'curtain') {
      this.look.curtain = Math.max(0, Math.min(1, here[0] * this.view.ratio / this.view.width));
      this.redraw('shapes');
    } else if (this.dragging === 'picture') {
      this.view.pan(here[0] - this.last[0], here[1] - this.last[1]);
      this.last = here;
      this.redraw();
    } else if (this.mayDraw) {
      // the browser bundles fast movements; a stroke wants all of them
      const events = this.tool.busy ? event.getCoalescedEvents?.() ?? [] : [];
      for (const one of events.length ? events : [event]) this.tool.move(this._point(one), one);
    }
    this.panels.showPointer(here, this.view.toPicture(...here));
  }

  _up(event) {
    this.pointers.delete(event.pointerId);
    if (this.doc && !this.pointers.size) this.doc.inHand = false;
    if (this.pinch) {
      this.pinch = this.pointers.size > 0;
      return;
    }
    if (this.dragging) this.dragging = null;
    else if (this.doc && (this.mayDraw || this.tool.busy)) this.tool.up(this._point(event), event);
  }

  _wheel(event) {
    event.preventDefault();
    if (!this.doc) return;
    const delta = event.deltaY * (event.deltaMode === 1 ? 33 : 1);
    if ((event.ctrlKey || event.shiftKey) && this.tool.brush) {
      this.setBrushWidth(this.brushWidth * 1.002 ** -(delta || event.deltaX));
      this.panels.showPointer(this._screen(event), this._point(event));
      return;
    }
    this.view.wheel(...this._screen(event), delta);
    this.redraw();
  }

  _key(event) {
    const target = event.composedPath()[0];
    const typing = isTyping(target) || (target.type === 'range' && /^(Arrow|Page|Home|End)/.test(event.key));
    const control = target instanceof Element && !this.root.contains(target)
      && target.closest('button, a, [role="option"], [role="combobox"], [role="dialog"], [role="slider"]');
    const theirs = control && /^(Enter| |Arrow.*|Escape|Page.*|Home)$/.test(event.key); // Streamlit's own controls
    if (typing || theirs || !this.root.isConnected || !this.doc || event.isComposing) return;
    const command = commandOf(event, this.habits.scheme);
    if (!command) {
      if (!event.ctrlKey && !event.metaKey && event.key.length === 1) event.stopPropagation(); // Streamlit's R and C
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    if (command.id === 'hide') this._show(false);
    else if (!event.repeat || ['smaller', 'larger', 'zoomIn', 'zoomOut', 'nudge', 'undo', 'redo', 'next', 'previous'].includes(command.id)) {
      this.obey(command);
    }
  }

  _keyUp(event) {
    if (event.key === ' ' || event.key === 't') this._show(true);
  }

  _show(shown) {
    if (this.look.shown === shown || this.look.mode === 'blink') return;
    this.look.shown = shown;
    this.redraw('shapes');
  }

  /** Do what a key or a button says. */
  obey({ id, key = '' }) {
    if (id === 'help') { this.panels.toggleHelp(); return; }
    if (id === 'giveUp' && this.panels.closeOverlays()) return;
    if (this.root.dataset.status === 'loading' || !this.doc) return;
    if (this.doc.inHand && !WHILE_HELD.has(id)) return;
    if (this.tool.command({ id, key })) return;
    if (id in this.tools) { this.setTool(id); return; }
    const looks = {
      fit: () => { this.view.fit(); this.redraw(); },
      actual: () => { this.view.centre(this.view.toPicture(...this._middle()), 1 / this.view.ratio); this.redraw(); },
      zoomIn: () => this.zoom(1.25),
      zoomOut: () => this.zoom(0.8),
      mode: () => this.setMode(MODES[(MODES.indexOf(this.look.mode) + 1) % MODES.length]),
      next: () => this.go(1),
      previous: () => this.go(-1),
      label: () => { if (this.labels[Number(key) - 1]) this.setLabel(this.labels[Number(key) - 1].name); },
      ignore: () => this.setLabel(IGNORE),
      copy: () => this.copy(),
      selectAll: () => this.choose(this.doc.shapes.filter((s) => !this.hidden.has(s.id)).map((s) => s.id)),
      giveUp: () => this.tool.cancel(),
      undo: () => this.step('undo'),
      redo: () => this.step('redo'),
    };
    if (looks[id]) { looks[id](); return; }
    if (!this.mayDraw) return;
    const changes = {
      finish: () => { if (this.chosenSuggestion) this.accept([this.chosenSuggestion]); },
      acceptAll: () => { if (this.suggestions.length) this.accept(this.suggestions); },
      suggest: () => this.suggest(),
      delete: () => this.deleteChosen(),
      duplicate: () => this.duplicate(),
      paste: () => this.paste(),
      merge: () => this.operate('Merged shapes', 'merge', this.chosen()),
      split: () => this.operate('Split into parts', 'split', this.chosen()),
      fillHoles: () => this.operate('Filled holes', 'fill_holes', this.chosen()),
      removeUnder: () => this.operate('Took out what lies under', 'remove_underlying', this.chosen()),
      toMask: () => this.operate('Turned into masks', 'to_mask', this.chosen()),
      toPolygon: () => this.operate('Turned into polygons', 'to_polygons', this.chosen(), undefined, { tolerance: 0 }),
      toSimple: () => this.operate('Turned into simpler polygons', 'to_polygons', this.chosen(), undefined, { tolerance: 1 }),
      up: () => this.reorder(1),
      down: () => this.reorder(-1),
      nudge: () => this.nudge(NUDGES[key.replace('alt+', '')]),
      save: () => this.finish('done'),
      review: () => this.finish('review'),
      fromPrevious: () => this.fromPrevious(),
    };
    const outcome = changes[id]?.();
    outcome?.catch?.((error) => this.tell(`${error.message} ${error.hint ?? ''}`));
  }

  _middle() { return [this.view.width / this.view.ratio / 2, this.view.height / this.view.ratio / 2]; }

  close() {
    this.stop.abort();
    this.root.replaceChildren();
  }
}

export { AS_IS, MODES };

/** Whether keys belong to this element: somebody writes, or chooses in a list. */
function isTyping(element) {
  if (!(element instanceof HTMLElement)) return false;
  const writes = element.tagName === 'INPUT' && !/^(range|checkbox|radio|button|file)$/.test(element.type);
  return writes || element.isContentEditable || /^(TEXTAREA|SELECT)$/.test(element.tagName);
}

function readHabits() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}
