// Points and boxes: pure functions. Points are [x, y] in picture pixels; pixel (0, 0) covers [0, 1) x [0, 1).

import { unionBox } from './bitmap.js';

export const POINT_RADIUS = 5; // what Labelme paints for a point
export const LINE_WIDTH = 10; // and for a line

/** How many points each kind of shape needs; Labelme's kinds. */
export const CLOSED = new Set(['polygon', 'rectangle', 'oriented_rectangle', 'circle']);

export const round = (value) => Math.round(value * 100) / 100;

export const distance = ([ax, ay], [bx, by]) => Math.hypot(bx - ax, by - ay);

/** The point of the segment a-b nearest to p, and how far it is. */
export function nearestOnSegment(p, a, b) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const along = Math.max(0, Math.min(1, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (dx * dx + dy * dy || 1)));
  const point = [a[0] + along * dx, a[1] + along * dy];
  return { point, distance: distance(p, point) };
}

/** The corners that a shape is drawn with: a rectangle's four, a circle's none. */
export function outline(shape) {
  if (shape.kind !== 'rectangle') return shape.points;
  const [[x0, y0], [x1, y1]] = shape.points;
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

/** The box [x, y, w, h] around a shape, in whole pixels. */
export function boxOf(shape) {
  if (shape.mask) return shape.mask.bounds() ?? [0, 0, 0, 0];
  let reach = 0;
  let points = shape.points;
  if (shape.kind === 'circle') {
    reach = distance(points[0], points[1]);
    points = [points[0]];
  } else if (shape.kind === 'point' || shape.kind === 'points') reach = POINT_RADIUS;
  else if (!CLOSED.has(shape.kind)) reach = LINE_WIDTH / 2;
  let box = null;
  for (const [x, y] of points) {
    const left = Math.floor(x - reach);
    const top = Math.floor(y - reach);
    box = unionBox(box, [left, top, Math.ceil(x + reach) + 1 - left, Math.ceil(y + reach) + 1 - top]);
  }
  return box ?? [0, 0, 0, 0];
}

/** Whether p lies in a shape; lines and points count as near as `reach`. */
export function contains(shape, p, reach) {
  if (shape.mask) return shape.mask.get(Math.floor(p[0]), Math.floor(p[1])) === 1;
  const points = outline(shape);
  if (shape.kind === 'circle') return distance(points[0], p) <= distance(points[0], points[1]);
  if (shape.kind === 'point' || shape.kind === 'points') {
    return points.some((point) => distance(point, p) <= Math.max(reach, POINT_RADIUS));
  }
  if (!CLOSED.has(shape.kind)) {
    return points.some((point, i) => i > 0
      && nearestOnSegment(p, points[i - 1], point).distance <= Math.max(reach, LINE_WIDTH / 2));
  }
  return insideRing(points, p);
}

export function insideRing(points, [x, y]) {
  let inside = false;
  for (let i = 0, j = points.length - 1; i < points.length; j = i++) {
    const [ax, ay] = points[i];
    const [bx, by] = points[j];
    if (ay > y !== by > y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) inside = !inside;
  }
  return inside;
}

/** Area of a shape in square pixels; a mask's is the number of its pixels. */
export function areaOf(shape) {
  if (shape.mask) return shape.mask.area();
  if (shape.kind === 'circle') return Math.PI * distance(shape.points[0], shape.points[1]) ** 2;
  if (!CLOSED.has(shape.kind)) return 0;
  const points = outline(shape);
  let twice = 0;
  for (let i = 0, j = points.length - 1; i < points.length; j = i++) {
    twice += points[j][0] * points[i][1] - points[i][0] * points[j][1];
  }
  return Math.abs(twice) / 2;
}

/** The index of the nearest point within `reach`, else -1. */
export function nearestVertex(points, p, reach) {
  let best = -1;
  let least = reach;
  points.forEach((point, i) => {
    const d = distance(point, p);
    if (d <= least) { least = d; best = i; }
  });
  return best;
}

/** The edge within `reach` as {index, point}: the new point goes before points[index]; null when none is near. */
export function nearestEdge(points, p, reach, closed) {
  let best = null;
  let least = reach;
  for (let i = closed ? 0 : 1; i < points.length; i++) {
    const found = nearestOnSegment(p, points[(i + points.length - 1) % points.length], points[i]);
    if (found.distance <= least) {
      least = found.distance;
      best = { index: i === 0 ? points.length : i, point: found.point };
    }
  }
  return best;
}

/** Leave out points of a freehand path that lie within `tolerance` of the line between others (Douglas and Peucker 1973). */
export function simplified(points, tolerance) {
  if (points.length < 3) return points;
  const keep = new Uint8Array(points.length);
  keep[0] = keep[points.length - 1] = 1;
  const stack = [[0, points.length - 1]];
  while (stack.length) {
    const [first, last] = stack.pop();
    let worst = tolerance;
    let at = -1;
    for (let i = first + 1; i < last; i++) {
      const d = nearestOnSegment(points[i], points[first], points[last]).distance;
      if (d > worst) { worst = d; at = i; }
    }
    if (at > 0) {
      keep[at] = 1;
      stack.push([first, at], [at, last]);
    }
  }
  return points.filter((_, i) => keep[i]);
}
