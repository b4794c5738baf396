// Shapes on a canvas: fill, outline, handles. The picture has a canvas of its own below.

import { CLOSED, distance, LINE_WIDTH, outline, POINT_RADIUS } from './geometry.js';
import { cachedBox } from './shapes.js';

export const IGNORE = '__ignore__';
const HANDLE = 4; // CSS pixels, half a side
const CROWDED = 9; // CSS pixels between points, on average, under which they are not shown
const EDGED_TILES = 4; // of 256 x 256 pixels: a mask of no more always shows its edge

/**
 * How shapes are looked at.
 * @typedef {object} Look
 * @property {'fill'|'outline'|'curtain'|'blink'} mode
 * @property {number} opacity of the fill, 0..1
 * @property {number} curtain where it hangs, 0..1 of the view's width
 * @property {boolean} shown false in the dark half of a blink, and while Space is held
 */

export class Painter {
  /** @param {(label: string) => number[]} colorOf [r, g, b] */
  constructor(view, colorOf) {
    this.view = view;
    this.colorOf = colorOf;
  }

  /** All shapes but the hidden ones; only inside of `box`, picture pixels, when that is given. */
  drawAll(context, shapes, look, { hidden, selected }, box = null) {
    const { view } = this;
    view.inDevice(context);
    context.save();
    let seen = view.seen();
    if (box) {
      const rim = view.reach(8); // lines reach over the box of their shape
      const [x0, y0] = [box[0] - rim, box[1] - rim].map(Math.floor);
      const [x1, y1] = [box[0] + box[2] + rim, box[1] + box[3] + rim].map(Math.ceil);
      const left = Math.floor(view.left + x0 * view.scale);
      const top = Math.floor(view.top + y0 * view.scale);
      context.beginPath();
      context.rect(left, top, Math.ceil((x1 - x0) * view.scale) + 1, Math.ceil((y1 - y0) * view.scale) + 1);
      context.clip();
      seen = [x0, y0, x1 - x0, y1 - y0];
    }
    context.clearRect(0, 0, view.width, view.height);
    if (look.shown) {
      if (look.mode === 'curtain') {
        context.beginPath();
        context.rect(0, 0, look.curtain * view.width, view.height);
        context.clip();
      }
      for (const shape of shapes) {
        if (hidden.has(shape.id) || !overlaps(cachedBox(shape), seen)) continue;
        this.drawShape(context, shape, look, { selected: selected.has(shape.id), seen });
      }
    }
    context.restore();
  }

  drawShape(context, shape, look, { selected = false, dashed = false, seen = this.view.seen() } = {}) {
    const { view } = this;
    const color = this.colorOf(shape.label);
    const filled = look.mode !== 'outline' && !dashed;
    context.imageSmoothingEnabled = view.scale < view.ratio;
    context.globalAlpha = 1;
    if (shape.mask) {
      if (filled) {
        view.inDevice(context);
        context.globalAlpha = look.opacity;
        shape.mask.draw(context, color, seen, view);
        context.globalAlpha = 1;
      }
      // two objects that touch would look like one; a large mask of many pieces takes too long at low zoom
      const edged = shape.mask.tiles.size <= EDGED_TILES || view.scale >= 4 * view.ratio;
      if (!filled || selected || edged) {
        this._stroke(context, color, selected, dashed, () => shape.mask.drawEdges(context, seen));
      }
      return;
    }
    view.inPicture(context);
    const path = pathOf(shape);
    if (CLOSED.has(shape.kind)) {
      if (filled) {
        context.fillStyle = `rgba(${color}, ${look.opacity})`;
        context.fill(path);
      }
    } else if (shape.kind === 'line' || shape.kind === 'linestrip') {
      context.strokeStyle = `rgba(${color}, ${look.opacity})`; // as wide as it paints the mask
      context.lineWidth = LINE_WIDTH;
      if (filled) context.stroke(path);
    }
    this._stroke(context, color, selected, dashed, () => context.stroke(path));
  }

  /** A line that is seen on bright and on dark: its colour over a thin shadow. */
  _stroke(context, color, selected, dashed, draw) {
    const { view } = this;
    view.inPicture(context);
    context.setLineDash(dashed ? [view.reach(6), view.reach(4)] : []);
    context.lineJoin = 'round';
    if (selected || dashed) {
      context.strokeStyle = selected ? 'rgba(255, 255, 255, 0.95)' : 'rgba(0, 0, 0, 0.55)';
      context.lineWidth = view.reach(selected ? 4 : 3);
      draw();
    }
    context.strokeStyle = `rgb(${color})`;
    context.lineWidth = view.reach(selected ? 2 : 1.5);
    draw();
    context.setLineDash([]);
  }

  /** The points that can be dragged, and the one under the pointer. */
  drawHandles(context, points, color, hot = -1) {
    const { view } = this;
    view.inDevice(context);
    const half = HANDLE * view.ratio;
    context.lineWidth = view.ratio;
    context.strokeStyle = 'rgba(0, 0, 0, 0.8)';
    const margin = 2 * half;
    const crowded = around(points) * view.scale < points.length * CROWDED * view.ratio; // they would hide the edge
    points.forEach(([px, py], i) => {
      if (crowded && i !== hot) return;
      const x = view.left + px * view.scale;
      const y = view.top + py * view.scale;
      if (x < -margin || y < -margin || x > view.width + margin || y > view.height + margin) return;
      const size = i === hot ? half * 1.6 : half;
      context.fillStyle = i === hot ? '#ffffff' : `rgb(${color})`;
      context.fillRect(x - size, y - size, 2 * size, 2 * size);
      context.strokeRect(x - size, y - size, 2 * size, 2 * size);
    });
  }

  /** An outline that is being drawn. */
  drawDraft(context, points, color, { closed = false, next = null } = {}) {
    const { view } = this;
    if (!points.length) return;
    view.inPicture(context);
    const path = new Path2D();
    [...points, ...(next ? [next] : [])].forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
    if (closed) path.closePath();
    context.fillStyle = `rgba(${color}, 0.2)`;
    if (points.length > 2) context.fill(path);
    this._stroke(context, color, true, false, () => context.stroke(path));
  }

  /** Where a finding is, as a ring around it. */
  drawFinding(context, [x, y]) {
    const { view } = this;
    view.inPicture(context);
    context.beginPath();
    context.arc(x, y, view.reach(9), 0, 2 * Math.PI);
    context.lineWidth = view.reach(2.5);
    context.strokeStyle = '#ff3b30';
    context.stroke();
  }

  drawCurtain(context, curtain) {
    const { view } = this;
    view.inDevice(context);
    const x = Math.round(curtain * view.width);
    context.fillStyle = 'rgba(0, 0, 0, 0.7)';
    context.fillRect(x - 1.5 * view.ratio, 0, 3 * view.ratio, view.height);
    context.fillStyle = '#ffffff';
    context.fillRect(x - 0.5 * view.ratio, 0, view.ratio, view.height);
    context.beginPath();
    context.arc(x, view.height / 2, 9 * view.ratio, 0, 2 * Math.PI);
    context.fill();
  }
}

/** The shape's path in picture pixels, kept until it changes. */
function pathOf(shape) {
  if (shape.path) return shape.path;
  const path = new Path2D();
  const points = outline(shape);
  if (shape.kind === 'circle') {
    const [[x, y], [ex, ey]] = points;
    path.arc(x, y, Math.hypot(ex - x, ey - y), 0, 2 * Math.PI);
  } else if (shape.kind === 'point' || shape.kind === 'points') {
    for (const [x, y] of points) {
      path.moveTo(x + POINT_RADIUS, y);
      path.arc(x, y, POINT_RADIUS, 0, 2 * Math.PI);
    }
  } else {
    points.forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
    if (CLOSED.has(shape.kind)) path.closePath();
  }
  return (shape.path = path);
}

/** The length of a closed outline. */
const around = (points) => points.reduce((sum, p, i) => sum + distance(p, points[(i || points.length) - 1]), 0);

const overlaps = (a, b) => a[0] < b[0] + b[2] && a[1] < b[1] + b[3] && a[0] + a[2] > b[0] && a[1] + a[3] > b[1];
