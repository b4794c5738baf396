// What the pointer does. Each tool answers down, move, up and some keys; all of them work on picture points.

import { unionBox } from './bitmap.js';
import {
  areaOf, CLOSED, contains, distance, nearestEdge, nearestVertex, outline, round, simplified,
} from './geometry.js';
import { cachedBox, changed, movedShape, newMask, newShape, repainted } from './shapes.js';

const GRAB = 8; // CSS pixels around a point or an edge
const DRAG = 4; // CSS pixels that make a press a drag
const KIND_WORDS = {
  polygon: 'polygon', rectangle: 'rectangle', circle: 'circle', point: 'point', linestrip: 'line', mask: 'mask',
};

const inside = ([x, y], { width, height }) => [Math.max(0, Math.min(width, x)), Math.max(0, Math.min(height, y))];
const tidy = (points) => points.map(([x, y]) => [round(x), round(y)]);

class Tool {
  /** @param {import('./editor.js').Editor} editor */
  constructor(editor) { this.editor = editor; }
  get cursor() { return 'crosshair'; }
  get doc() { return this.editor.doc; }
  get view() { return this.editor.view; }
  get busy() { return false; }
  down() {}
  move() {}
  up() {}
  double() {}
  /** True when the command is used up here. */
  command() { return false; }
  cancel() {}
  /** The press was the first of two fingers that zoom. */
  pinched() { this.cancel(); }
  /** Another tool or another picture: what is half done waits, where it can. */
  leave() { if (this.busy) this.cancel(); }
  enter() {}
  draw() {}
}

// ------------------------------------------------------------------------------------------------- choose and edit

/** Choose shapes; drag points, edges and chosen shapes; drag beside them to move the picture. */
export class SelectTool extends Tool {
  constructor(editor) {
    super(editor);
    this.hot = -1; // index of the handle under the pointer
    this.drag = null;
  }

  get cursor() { return this.hot >= 0 ? 'grab' : 'default'; }
  get busy() { return this.drag !== null && this.drag.kind !== 'pan'; }

  /** The only chosen shape that has points to drag, as {index, shape, points}. */
  handles() {
    const chosen = this.editor.chosen();
    if (chosen.length !== 1 || this.doc.shapes[chosen[0]].mask) return null;
    const shape = this.doc.shapes[chosen[0]];
    return { index: chosen[0], shape, points: outline(shape) };
  }

  down(p, event) {
    const { editor, view } = this;
    const found = this.handles();
    this.start = p;
    this.pressed = [event.clientX, event.clientY];
    if (found && !event.shiftKey) {
      let at = nearestVertex(found.points, p, view.reach(GRAB));
      let shape = found.shape;
      if (at < 0 && (shape.kind === 'polygon' || shape.kind === 'linestrip')) {
        const edge = nearestEdge(found.points, p, view.reach(GRAB / 2), shape.kind === 'polygon');
        if (edge) {
          at = edge.index;
          const points = [...shape.points];
          points.splice(at, 0, edge.point);
          shape = changed(shape, { points });
        }
      }
      if (at >= 0) {
        this.drag = { kind: 'point', index: found.index, original: found.shape, shape, at };
        this.hot = at;
        return;
      }
    }
    const hit = this.hit(p);
    if (event.shiftKey) {
      if (hit >= 0) editor.choose([this.doc.shapes[hit].id], 'toggle');
      else this.drag = { kind: 'box', to: p };
      return;
    }
    const chosen = hit >= 0 && editor.selected.has(this.doc.shapes[hit].id);
    this.drag = { kind: chosen ? 'shapes' : 'pan', hit, moved: false, last: this.pressed };
    if (chosen) this.drag.originals = new Map(editor.chosen().map((i) => [i, this.doc.shapes[i]]));
  }

  /** The shape to take: of those under p the chosen one, else the smallest, so that none hides another for good. */
  hit(p) {
    const { editor, view } = this;
    const reach = view.reach(GRAB / 2);
    const under = [];
    for (let i = this.doc.shapes.length - 1; i >= 0; i--) {
      const shape = this.doc.shapes[i];
      const [x, y, w, h] = cachedBox(shape);
      if (editor.hidden.has(shape.id) || p[0] < x - reach || p[1] < y - reach || p[0] > x + w + reach || p[1] > y + h + reach) {
        continue;
      }
      if (contains(shape, p, reach)) under.push(i);
    }
    const chosen = under.find((i) => editor.selected.has(this.doc.shapes[i].id));
    if (chosen !== undefined) return chosen;
    const size = (i) => cachedBox(this.doc.shapes[i])[2] * cachedBox(this.doc.shapes[i])[3];
    return under.length ? under.reduce((best, i) => (size(i) < size(best) ? i : best)) : -1;
  }

  move(p, event) {
    const { drag, editor, view } = this;
    if (!drag) {
      const found = this.handles();
      const hot = found ? nearestVertex(found.points, p, view.reach(GRAB)) : -1;
      if (hot !== this.hot) { this.hot = hot; editor.touch(); }
      return;
    }
    if (!drag.moved) {
      if (distance(this.pressed, [event.clientX, event.clientY]) < DRAG) return;
      drag.moved = true;
    }
    if (drag.kind === 'pan') {
      view.pan(event.clientX - drag.last[0], event.clientY - drag.last[1]);
      drag.last = [event.clientX, event.clientY];
      editor.redraw();
    } else if (drag.kind === 'point') {
      editor.preview(drag.index, this.dragged(drag, inside(p, this.doc.size)));
    } else if (drag.kind === 'shapes') {
      const whole = [...drag.originals.values()].some((shape) => shape.mask);
      drag.by = [p[0] - this.start[0], p[1] - this.start[1]].map((d) => (whole ? Math.round(d) : round(d)));
      if (drag.by.every((d, i) => d === drag.done?.[i])) return;
      drag.done = drag.by;
      for (const [i, shape] of drag.originals) editor.preview(i, movedShape(shape, ...drag.by));
    } else if (drag.kind === 'box') {
      drag.to = p;
      editor.touch();
    }
  }

  dragged({ shape, at }, p) {
    if (shape.kind === 'rectangle') {
      const corners = outline(shape);
      const opposite = corners[(at + 2) % 4];
      return changed(shape, { points: tidy([opposite, p]) });
    }
    if (shape.kind === 'circle' && at === 0) return movedShape(shape, p[0] - shape.points[0][0], p[1] - shape.points[0][1]);
    const points = [...shape.points];
    points[at] = [round(p[0]), round(p[1])];
    return changed(shape, { points });
  }

  up(p, event) {
    const { drag, editor } = this;
    this.drag = null;
    if (!drag) return;
    if (drag.kind === 'box') {
      const [x0, x1] = [this.start[0], drag.to[0]].sort((a, b) => a - b);
      const [y0, y1] = [this.start[1], drag.to[1]].sort((a, b) => a - b);
      const ids = this.doc.shapes.filter((shape) => {
        const [x, y, w, h] = cachedBox(shape);
        return !editor.hidden.has(shape.id) && x >= x0 && y >= y0 && x + w - 1 <= x1 && y + h - 1 <= y1;
      }).map((shape) => shape.id);
      editor.choose(ids, 'add');
    } else if (!drag.moved) {
      if (drag.kind === 'point' && drag.shape !== drag.original) { // a click on an edge puts a point there
        editor.preview(drag.index, drag.shape);
        editor.commitPreview('Added a point');
      } else if (drag.kind !== 'point') {
        editor.choose(drag.hit >= 0 ? [this.doc.shapes[drag.hit].id] : []);
      }
    } else if (drag.kind === 'point') {
      editor.commitPreview(drag.shape === drag.original ? 'Moved a point' : 'Added a point');
    } else if (drag.kind === 'shapes') {
      editor.commitPreview(drag.originals.size > 1 ? `Moved ${drag.originals.size} shapes` : 'Moved a shape');
    }
    editor.touch();
  }

  double(p) {
    const found = this.handles();
    const at = found ? nearestVertex(found.points, p, this.view.reach(GRAB)) : -1;
    if (at >= 0) this.removePoint(found, at);
  }

  command({ id }) {
    if (id !== 'delete' || this.hot < 0) return false;
    const found = this.handles();
    if (!found || !(found.shape.kind === 'polygon' || found.shape.kind === 'linestrip')) return false;
    this.removePoint(found, this.hot);
    this.hot = -1;
    return true;
  }

  removePoint({ index, shape }, at) {
    const least = shape.kind === 'polygon' ? 3 : 2;
    if (shape.points.length <= least) {
      this.editor.tell(`A ${KIND_WORDS[shape.kind]} needs ${least} points. Delete the whole shape with the bin.`);
      return;
    }
    this.doc.replace('Removed a point', [[index, changed(shape, { points: shape.points.filter((_, i) => i !== at) })]]);
  }

  cancel() {
    if (this.busy) this.editor.dropPreview();
    this.drag = null;
    this.editor.choose([]);
  }

  draw(context, painter) {
    const { drag, editor } = this;
    const found = this.handles();
    if (found) painter.drawHandles(context, found.points, editor.colorOf(found.shape.label), this.hot);
    if (drag?.kind === 'box') {
      const [[x0, y0], [x1, y1]] = [this.start, drag.to];
      painter.drawDraft(context, [[x0, y0], [x1, y0], [x1, y1], [x0, y1]], [255, 255, 255], { closed: true });
    }
  }
}

// --------------------------------------------------------------------------------------------------------- outlines

const OUTLINES = {
  polygon: { least: 3, closed: true },
  line: { least: 2, closed: false },
  cut: { least: 2, closed: false },
  add: { least: 3, closed: true },
  subtract: { least: 3, closed: true },
};

/** Point by point, or freehand while the button is held. What becomes of the outline is the purpose's matter. */
export class OutlineTool extends Tool {
  /** @param {keyof OUTLINES} purpose */
  constructor(editor, purpose) {
    super(editor);
    this.purpose = purpose;
    Object.assign(this, OUTLINES[purpose]);
    this.points = [];
    this.next = null;
  }

  get busy() { return this.points.length > 0; }

  down(p) {
    if (!this.points.length && !this.allowed()) return;
    const reach = this.view.reach(GRAB);
    if (this.closed && this.points.length >= this.least && distance(p, this.points[0]) <= reach) {
      this.finish();
      return;
    }
    this.points.push(inside(p, this.doc.size));
    this.free = this.points.length - 1;
    this.keep();
  }

  /** Add, subtract and cut need one shape to work on. */
  allowed() {
    if (this.purpose === 'polygon' || this.purpose === 'line') return this.editor.needsLabel();
    if (this.editor.chosen().length === 1) return true;
    this.editor.tell('Choose one shape first, with V and a click.');
    return false;
  }

  move(p, event) {
    this.next = p;
    if (event.buttons & 1 && this.points.length && distance(p, this.points.at(-1)) >= this.view.reach(DRAG)) {
      this.points.push(inside(p, this.doc.size));
      this.dragged = true;
    }
    if (this.points.length) this.editor.touch();
  }

  up(p) {
    if (!this.dragged) return;
    this.dragged = false;
    const drawn = simplified(this.points.slice(this.free), this.view.reach(0.75));
    this.points.splice(this.free, Infinity, ...drawn);
    const back = distance(p, this.points[0]) <= this.view.reach(2 * GRAB);
    if (this.closed && this.points.length >= this.least && back) this.finish();
    else this.keep();
  }

  double() {
    // both presses of a double click have put a point
    if (this.points.length > 1 && distance(this.points.at(-1), this.points.at(-2)) <= this.view.reach(GRAB)) {
      this.points.pop();
    }
    this.finish();
  }

  command({ id }) {
    if (!this.busy) return false;
    if (id === 'finish') this.finish();
    else if (id === 'undo' || (id === 'delete')) {
      this.points.pop();
      this.keep();
    } else return false;
    return true;
  }

  finish() {
    if (this.points.length < this.least) {
      this.editor.tell(`${this.least} points at least; Esc gives the outline up.`);
      return;
    }
    const points = tidy(this.points);
    const { doc, editor } = this;
    this.points = [];
    this.keep();
    const label = editor.label;
    if (this.purpose === 'polygon' || this.purpose === 'line') {
      const kind = this.purpose === 'polygon' ? 'polygon' : 'linestrip';
      editor.add(`Drew a ${KIND_WORDS[kind]}: ${label}`, newShape(kind, label, points));
      return;
    }
    const at = editor.chosen();
    const ops = { add: 'add_polygon', subtract: 'subtract_polygon', cut: 'split' };
    const words = { add: 'Added an area', subtract: 'Took an area out', cut: 'Cut a shape' };
    editor.operate(words[this.purpose], ops[this.purpose], at, points);
  }

  cancel() {
    this.points = [];
    this.dragged = false;
    this.keep();
  }

  pinched() {
    this.points.length = this.free;
    this.dragged = false;
    this.keep();
  }

  /** The points begun so far outlive a reload, another picture and another tool. */
  keep() {
    const { doc, editor } = this;
    const draft = { purpose: this.purpose, points: this.points, label: editor.label, on: editor.chosen(), version: doc.head.version };
    editor.keepDraft(this.points.length ? draft : null);
    editor.touch();
  }

  leave() {
    this.points = [];
    this.dragged = false;
  }

  enter() {
    const draft = this.doc && this.editor.readDraft();
    if (draft?.purpose !== this.purpose) return;
    if (this.purpose === 'polygon' || this.purpose === 'line') this.editor.setLabel(draft.label);
    else if (draft.version !== this.doc.head.version) return; // the shape that it was for may be another one
    else this.editor.choose(draft.on.map((i) => this.doc.shapes[i].id));
    this.points = draft.points;
    this.editor.tell('The outline that you began here is back. Enter ends it, Esc gives it up.');
  }

  draw(context, painter) {
    const chosen = this.editor.chosen();
    const label = this.purpose === 'polygon' || this.purpose === 'line' || !chosen.length
      ? this.editor.label : this.doc.shapes[chosen[0]].label;
    const color = this.purpose === 'subtract' || this.purpose === 'cut' ? [255, 255, 255] : this.editor.colorOf(label);
    painter.drawDraft(context, this.points, color, { next: this.next });
    if (this.closed && this.points.length) {
      const near = this.next && this.points.length >= this.least
        && distance(this.next, this.points[0]) <= this.view.reach(GRAB);
      painter.drawHandles(context, this.points.slice(0, 1), color, near ? 0 : -1);
    }
  }
}

// ------------------------------------------------------------------------------------------- rectangle, circle, point

/** From one point to another: dragged, or by two clicks. */
export class SpanTool extends Tool {
  constructor(editor, kind) {
    super(editor);
    this.kind = kind;
    this.first = null;
  }

  get busy() { return this.first !== null; }

  down(p, event) {
    if (!this.editor.needsLabel()) return;
    const here = inside(p, this.doc.size);
    if (this.kind === 'point') {
      this.editor.add(`Drew a point: ${this.editor.label}`, newShape('point', this.editor.label, tidy([here])));
    } else if (this.first) {
      this.finish(here);
    } else {
      this.first = this.second = here;
      this.pressed = [event.clientX, event.clientY];
    }
  }

  move(p) {
    if (!this.first) return;
    this.second = inside(p, this.doc.size);
    this.editor.touch();
  }

  up(p, event) {
    if (this.first && distance(this.pressed, [event.clientX, event.clientY]) >= DRAG) this.finish(inside(p, this.doc.size));
  }

  finish(second) {
    const shape = newShape(this.kind, this.editor.label, tidy([this.first, second]));
    this.first = null;
    this.editor.touch();
    if (areaOf(shape) < 0.5) return; // a slip, not a shape
    this.editor.add(`Drew a ${KIND_WORDS[this.kind]}: ${shape.label}`, shape);
  }

  cancel() {
    this.first = null;
    this.editor.touch();
  }

  draw(context, painter) {
    if (!this.first) return;
    const shape = newShape(this.kind, this.editor.label, [this.first, this.second]);
    painter.drawShape(context, shape, { mode: 'fill', opacity: 0.2 }, { selected: true });
  }
}

// ---------------------------------------------------------------------------------------------------- brush, eraser

/** Pixels of masks. Without a chosen shape the brush begins a new mask, and the eraser takes out of every one. */
export class BrushTool extends Tool {
  constructor(editor, erasing) {
    super(editor);
    this.erasing = erasing;
    this.last = null;
  }

  get cursor() { return 'none'; }
  get busy() { return this.last !== null; }
  get brush() { return { width: this.editor.brushWidth, erasing: this.erasing }; }

  async down(p) {
    const { editor } = this;
    if (!this.erasing && !editor.needsLabel()) return;
    this.last = p;
    this.path = [p]; // until the targets are known
    this.targets = null;
    this.released = false;
    const targets = await this.findTargets();
    this.targets = targets;
    if (this.last === null && !this.released) { // given up meanwhile
      this.giveUp();
      return;
    }
    const path = this.path;
    this.paint(path[0], path[0]);
    for (let i = 1; i < path.length; i++) this.paint(path[i - 1], path[i]);
    if (this.released) this.finish();
  }

  /** Shapes to paint into, as Map shape -> box that was touched. A chosen polygon becomes a mask first. */
  async findTargets() {
    const { doc, editor } = this;
    let chosen = editor.chosen();
    const drawn = chosen.filter((i) => !doc.shapes[i].mask && CLOSED.has(doc.shapes[i].kind));
    if (drawn.length && (this.erasing || chosen.length === 1)) {
      await editor.operate('Turned into a mask, to paint in it', 'to_mask', drawn);
      chosen = editor.chosen();
    }
    const masks = chosen.filter((i) => doc.shapes[i].mask).map((i) => doc.shapes[i]);
    if (this.erasing) {
      const all = masks.length ? masks : doc.shapes.filter((shape) => shape.mask && !editor.hidden.has(shape.id));
      return new Map(all.map((shape) => [shape, null]));
    }
    if (masks.length === 1) return new Map([[masks[0], null]]);
    const shape = newMask(editor.label, doc.size);
    doc.shapes.push(shape); // seen at once; sent when the stroke is over
    this.fresh = shape;
    return new Map([[shape, null]]);
  }

  move(p) {
    if (this.last === null) return;
    if (this.targets) this.paint(this.last, p);
    else this.path.push(p);
    this.last = p;
  }

  paint(a, b) {
    const { editor } = this;
    for (const [shape, box] of this.targets) {
      if (this.erasing) shape.mask.modified = false;
      const touched = shape.mask.stroke(...a, ...b, editor.brushWidth, this.erasing ? 0 : 1);
      if (this.erasing && !shape.mask.modified) continue;
      this.targets.set(shape, unionBox(box, touched));
      repainted(shape);
      editor.redrawShapes(touched);
    }
  }

  up() {
    if (this.last === null) return;
    this.last = null;
    if (this.targets) this.finish();
    else this.released = true;
  }

  finish() {
    const { doc, editor } = this;
    for (const shape of this.targets.keys()) shape.mask.settle();
    if (this.fresh) {
      const shape = this.fresh;
      this.dropFresh();
      if (shape.mask.bounds()) editor.add(`Painted: ${shape.label}`, shape);
    } else {
      const parts = [...this.targets].filter(([, box]) => box && box[2] > 0 && box[3] > 0)
        .map(([shape, box]) => [doc.shapes.indexOf(shape), box]).filter(([at]) => at >= 0);
      if (parts.length) doc.painted(this.erasing ? 'Erased' : `Painted: ${doc.shapes[parts[0][0]].label}`, parts);
      this.targets = null;
      return parts.length > 0;
    }
    this.targets = null;
    return true;
  }

  dropFresh() {
    const { shapes } = this.doc;
    const at = shapes.indexOf(this.fresh);
    if (at >= 0) shapes.splice(at, 1);
    this.fresh = null;
  }

  /** The stroke as if it had not been: a new mask goes, pixels of others are taken back. */
  giveUp() {
    if (this.fresh) {
      this.dropFresh();
      this.targets = null;
      this.editor.redraw('shapes');
    } else if (this.finish()) {
      this.editor.step('undo');
    }
  }

  command({ id }) {
    const step = { smaller: 1 / 1.25, larger: 1.25 }[id];
    if (!step) return false;
    this.editor.setBrushWidth(this.editor.brushWidth * step);
    return true;
  }

  cancel() {
    if (this.last === null) {
      this.editor.choose([]); // the next stroke begins a new mask
      return;
    }
    this.last = null;
    if (this.targets) this.giveUp(); // else when they are known
  }
}

/** Fill the hole of a mask that is clicked. */
export class FillTool extends Tool {
  async down(p) {
    const { doc, editor } = this;
    const [x, y] = p.map(Math.floor);
    const chosen = editor.chosen();
    const order = chosen.length ? chosen : doc.shapes.map((_, i) => i).reverse();
    for (const i of order) {
      const shape = doc.shapes[i];
      if (!shape.mask || editor.hidden.has(shape.id)) continue;
      const box = shape.mask.fillAt(x, y);
      if (!box) continue;
      shape.mask.settle();
      repainted(shape);
      editor.redrawShapes(box);
      doc.painted('Filled a hole', [[i, box]]);
      return;
    }
    editor.tell('There is no hole of a mask here. A hole is enclosed by its mask on all sides.');
  }
}

/** Every tool by the id of its command. */
export const makeTools = (editor) => ({
  select: new SelectTool(editor),
  polygon: new OutlineTool(editor, 'polygon'),
  rectangle: new SpanTool(editor, 'rectangle'),
  circle: new SpanTool(editor, 'circle'),
  point: new SpanTool(editor, 'point'),
  line: new OutlineTool(editor, 'line'),
  brush: new BrushTool(editor, false),
  eraser: new BrushTool(editor, true),
  add: new OutlineTool(editor, 'add'),
  subtract: new OutlineTool(editor, 'subtract'),
  fill: new FillTool(editor),
  cut: new OutlineTool(editor, 'cut'),
});
