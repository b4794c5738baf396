// The picture as tiles of a pyramid, loaded as far as they are seen; brightness and the like for the eye only.

import { apiUrl, ask, samplePath } from './api.js';

const KEPT = 160; // tiles, a megabyte each
const AT_ONCE = 6; // requests; more would only wait in the browser
const NEAREST_FROM = 8; // CSS pixels a picture pixel: from here on pixels are squares, and a grid lies between them

/** brightness and contrast: -100..100, gamma: 0.2..5, channel: "all", "r", "g" or "b". */
export const AS_IS = Object.freeze({ brightness: 0, contrast: 0, gamma: 1, channel: 'all' });

export class TiledPicture {
  constructor(project, sample, redraw) {
    this.path = samplePath(project, sample);
    this.redraw = redraw;
    this.tiles = new Map(); // "level/column/row" -> {bitmap, adjusted, wanted}
    this.loading = 0;
    this.waiting = [];
    this.look = AS_IS;
    this.closed = false;
    this.abort = new AbortController();
  }

  async open(onProgress) {
    for (;;) {
      this.info = await ask(`${this.path}/picture`, null, this.abort.signal);
      if (this.info.ready || this.closed) return this.info;
      onProgress(this.info.progress);
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
  }

  close() {
    this.closed = true;
    this.abort.abort();
    for (const tile of this.tiles.values()) tile.bitmap?.close();
    this.tiles.clear();
  }

  /** Resolves when what `view` shows is here. */
  async ready(view) {
    if (!this.info) return;
    const level = this._level(view);
    const wanted = [...this._keys(view, level)];
    await Promise.all(wanted.map((key) => this._load(key)));
  }

  adjust(look) {
    this.look = { ...look };
    for (const tile of this.tiles.values()) tile.adjusted = null;
    this.redraw();
  }

  _level(view) {
    return Math.max(0, Math.min(this.info.levels - 1, Math.floor(Math.log2(1 / view.scale) + 1e-6)));
  }

  *_keys(view, level) {
    const side = this.info.tile * 2 ** level;
    const [x, y, w, h] = view.seen();
    if (!w || !h) return;
    for (let row = Math.floor(y / side); row * side < y + h; row++) {
      for (let column = Math.floor(x / side); column * side < x + w; column++) yield `${level}/${column}/${row}`;
    }
  }

  draw(context, view) {
    view.inDevice(context);
    context.clearRect(0, 0, view.width, view.height);
    if (!this.info) return;
    const zoom = view.scale / view.ratio;
    context.imageSmoothingEnabled = zoom < NEAREST_FROM;
    context.imageSmoothingQuality = 'low';
    const level = this._level(view);
    this._load(`${this.info.levels - 1}/0/0`);
    for (const key of this._keys(view, level)) {
      if (!this._drawTile(context, view, key)) this._drawCoarser(context, view, key);
    }
    if (zoom >= NEAREST_FROM) drawGrid(context, view);
  }

  _drawTile(context, view, key) {
    const tile = this._load(key, true);
    if (!tile?.bitmap) return false;
    const [level, column, row] = key.split('/').map(Number);
    this._place(context, view, this._seen(tile), level, column, row, 0, 0, tile.bitmap.width, tile.bitmap.height);
    return true;
  }

  /** While a tile is on its way, the part of a coarser one that shows the same. */
  _drawCoarser(context, view, key) {
    const [level, column, row] = key.split('/').map(Number);
    for (let up = 1; level + up < this.info.levels; up++) {
      const tile = this.tiles.get(`${level + up}/${column >> up}/${row >> up}`);
      if (!tile?.bitmap) continue;
      const part = this.info.tile / 2 ** up;
      const [x, y] = [(column % 2 ** up) * part, (row % 2 ** up) * part];
      const [w, h] = [Math.min(part, tile.bitmap.width - x), Math.min(part, tile.bitmap.height - y)];
      if (w > 0 && h > 0) this._place(context, view, this._seen(tile), level, column, row, x, y, w, h);
      return;
    }
  }

  /** Draw a part of `image` where the tile belongs. Tiles end on whole device pixels, else seams would show. */
  _place(context, view, image, level, column, row, x, y, w, h) {
    const side = this.info.tile * 2 ** level;
    const left = Math.round(view.left + column * side * view.scale);
    const top = Math.round(view.top + row * side * view.scale);
    const right = Math.round(view.left + Math.min((column + 1) * side, this.info.width) * view.scale);
    const bottom = Math.round(view.top + Math.min((row + 1) * side, this.info.height) * view.scale);
    context.drawImage(image, x, y, w, h, left, top, right - left, bottom - top);
  }

  _seen(tile) {
    if (isAsIs(this.look)) return tile.bitmap;
    return (tile.adjusted ??= adjusted(tile.bitmap, this.look));
  }

  /** The tile if it is here. Otherwise it is fetched: a promise, or null when `draw` asks (it is drawn when it comes). */
  _load(key, drawing = false) {
    const found = this.tiles.get(key);
    if (found) {
      this.tiles.delete(key); // the latest used stands last
      this.tiles.set(key, found);
      return drawing ? (found.bitmap ? found : null) : found.promise;
    }
    const tile = { bitmap: null, adjusted: null };
    tile.promise = this._fetch(key, tile);
    this.tiles.set(key, tile);
    while (this.tiles.size > KEPT) {
      const [oldest, old] = this.tiles.entries().next().value;
      if (!old.bitmap) break;
      old.bitmap.close();
      this.tiles.delete(oldest);
    }
    return drawing ? null : tile.promise;
  }

  async _fetch(key, tile) {
    if (this.loading >= AT_ONCE) await new Promise((resolve) => this.waiting.push(resolve));
    if (this.closed) return;
    this.loading += 1;
    try {
      const url = apiUrl(`${this.path}/tiles/${key}?v=${encodeURIComponent(this.info.stamp)}`);
      const answer = await fetch(url, { signal: this.abort.signal });
      if (!answer.ok) throw new Error(`tile ${key}: ${answer.status}`);
      const bitmap = await createImageBitmap(await answer.blob());
      if (this.closed) bitmap.close();
      else { tile.bitmap = bitmap; this.redraw(); }
    } catch (error) {
      this.tiles.delete(key); // it is asked for again when it is drawn next
      if (!this.closed) setTimeout(this.redraw, 1000);
    } finally {
      this.loading -= 1;
      this.waiting.pop()?.(); // the latest asked for is what is seen now
    }
  }
}

const isAsIs = (look) => Object.keys(AS_IS).every((key) => look[key] === AS_IS[key]);

/** A tile as it is looked at: first contrast and brightness, then gamma, then the channel. */
function adjusted(bitmap, { brightness, contrast, gamma, channel }) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const image = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const table = new Uint8ClampedArray(256);
  const slope = contrast >= 0 ? 1 + contrast / 25 : 1 + contrast / 100;
  for (let i = 0; i < 256; i++) {
    const value = Math.max(0, Math.min(1, (i / 255 - 0.5) * slope + 0.5 + brightness / 100));
    table[i] = 255 * value ** (1 / gamma);
  }
  const data = image.data;
  const only = { r: 0, g: 1, b: 2 }[channel];
  for (let i = 0; i < data.length; i += 4) {
    if (only === undefined) {
      data[i] = table[data[i]];
      data[i + 1] = table[data[i + 1]];
      data[i + 2] = table[data[i + 2]];
    } else {
      data[i] = data[i + 1] = data[i + 2] = table[data[i + only]];
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function drawGrid(context, view) {
  const [x, y, w, h] = view.seen();
  context.strokeStyle = 'rgba(128, 128, 128, 0.35)';
  context.lineWidth = 1;
  context.beginPath();
  const [top, bottom] = [view.top + y * view.scale, view.top + (y + h) * view.scale];
  const [left, right] = [view.left + x * view.scale, view.left + (x + w) * view.scale];
  for (let i = x; i <= x + w; i++) {
    const at = Math.round(view.left + i * view.scale) + 0.5;
    context.moveTo(at, top);
    context.lineTo(at, bottom);
  }
  for (let j = y; j <= y + h; j++) {
    const at = Math.round(view.top + j * view.scale) + 0.5;
    context.moveTo(left, at);
    context.lineTo(right, at);
  }
  context.stroke();
}
