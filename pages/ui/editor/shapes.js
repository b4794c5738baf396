// A shape as the editor holds it, and as it travels ("wire": see core/serving/wire.py).

import { Bitmap } from './bitmap.js';
import { areaOf, boxOf } from './geometry.js';

let count = 0;

/**
 * @typedef {object} Shape
 * @property {number} id of this object in this browser; a changed shape is a new object with the same id
 * @property {string} kind Labelme's shape_type
 * @property {string} label
 * @property {number[][]} points none for a mask
 * @property {?Bitmap} mask only for kind "mask"
 */

export function fromWire(wire, size, id = ++count) {
  const mask = wire.kind === 'mask' ? Bitmap.fromRuns(size.width, size.height, wire.box, wire.rle) : null;
  return {
    id, kind: wire.kind, label: wire.label, points: wire.points ?? [], mask,
    group_id: wire.group_id ?? null, description: wire.description ?? null,
    flags: wire.flags ?? {}, extra: wire.extra ?? {},
  };
}

export function toWire(shape) {
  const { kind, label, group_id, description, flags, extra } = shape;
  const common = { kind, label, group_id, description, flags, extra };
  if (!shape.mask) return { ...common, points: shape.points };
  const box = shape.mask.bounds() ?? [0, 0, 1, 1];
  return { ...common, box, rle: shape.mask.runs(box) };
}

export const newShape = (kind, label, points) => fromWire({ kind, label, points }, null);

export function newMask(label, size) {
  return fromWire({ kind: 'mask', label, box: [0, 0, 0, 0], rle: [] }, size);
}

/** The same shape with other values; what was worked out of the old ones is forgotten. */
export function changed(shape, values) {
  const { path, box, area, found, ...rest } = shape;
  return { ...rest, ...values };
}

/** Another shape that looks the same. */
export function twin(shape) {
  return changed(shape, { id: ++count, mask: shape.mask?.copy() ?? null, points: shape.points.map((p) => [...p]) });
}

export function movedShape(shape, dx, dy) {
  if (shape.mask) return changed(shape, { mask: shape.mask.moved(Math.round(dx), Math.round(dy)) });
  return changed(shape, { points: shape.points.map(([x, y]) => [x + dx, y + dy]) });
}

/** The box [x, y, w, h], kept until the shape changes. */
export const cachedBox = (shape) => (shape.box ??= boxOf(shape));

/** In square pixels, kept until the shape changes. */
export const cachedArea = (shape) => (shape.area ??= areaOf(shape));

/** Pixels of its mask were painted in place. */
export function repainted(shape) {
  delete shape.box;
  delete shape.area;
}
