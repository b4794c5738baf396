// A mask as tiles of bits: memory only where something is painted, whatever the size of the picture.

export const TILE = 256;
const PIXELS = TILE * TILE;
const FULL = new Uint8Array(PIXELS).fill(1); // shared by all tiles that are painted over and over; copied before a change

/** Which pixels belong to a shape. Coordinates are whole picture pixels; what lies outside of the picture is cut. */
export class Bitmap {
  /** @param {number} width @param {number} height of the picture */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    /** @type {Map<number, {bits: Uint8Array, canvas: ?OffscreenCanvas, color: string, edges: ?Path2D}>} */
    this.tiles = new Map();
    this.across = Math.ceil(width / TILE);
    this.modified = false; // whether a pixel changed since somebody set this to false
  }

  /** Pixels of `box` [x, y, w, h] from row-major run lengths that begin with empty ones. */
  static fromRuns(width, height, box, runs) {
    const bitmap = new Bitmap(width, height);
    bitmap.setRuns(box, runs);
    return bitmap;
  }

  copy() {
    const twin = new Bitmap(this.width, this.height);
    for (const [key, tile] of this.tiles) {
      const bits = tile.bits === FULL ? FULL : tile.bits.slice();
      twin.tiles.set(key, { bits, canvas: null, color: '', edges: null });
    }
    return twin;
  }

  get(x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return 0;
    const tile = this.tiles.get(((y / TILE) | 0) * this.across + ((x / TILE) | 0));
    return tile ? tile.bits[(y % TILE) * TILE + (x % TILE)] : 0;
  }

  /** Set the pixels [x0, x1) of row y to `value`. */
  span(y, x0, x1, value) {
    if (y < 0 || y >= this.height) return;
    x0 = Math.max(0, x0);
    x1 = Math.min(this.width, x1);
    const row = (y / TILE) | 0;
    const inside = (y % TILE) * TILE;
    while (x0 < x1) {
      const column = (x0 / TILE) | 0;
      const end = Math.min(x1, (column + 1) * TILE);
      const tile = this._writable(row * this.across + column, value);
      if (tile) {
        const [from, to] = [inside + x0 - column * TILE, inside + end - column * TILE];
        if (!this.modified && tile.bits.subarray(from, to).indexOf(1 - value) >= 0) this.modified = true;
        tile.bits.fill(value, from, to);
      }
      x0 = end;
    }
  }

  /** The tile to write into; null when clearing where nothing is. */
  _writable(key, value) {
    let tile = this.tiles.get(key);
    if (!tile) {
      if (!value) return null;
      tile = { bits: new Uint8Array(PIXELS), canvas: null, color: '', edges: null };
      this.tiles.set(key, tile);
    } else if (tile.bits === FULL) {
      if (value) return null; // it is painted already
      tile.bits = FULL.slice();
    }
    return tile;
  }

  /** Paint a round stroke from a to b, `width` across; a width of 1 paints the pixels that the path passes through. */
  stroke(ax, ay, bx, by, width, value) {
    const radius = width / 2;
    const top = Math.max(0, Math.floor(Math.min(ay, by) - radius));
    const bottom = Math.min(this.height - 1, Math.ceil(Math.max(ay, by) + radius));
    for (let y = top; y <= bottom; y++) {
      const range = capsuleRow(ax, ay, bx, by, radius, y + 0.5);
      if (range) this.span(y, Math.ceil(range[0] - 0.5), Math.floor(range[1] - 0.5) + 1, value);
    }
    this._line(Math.floor(ax), Math.floor(ay), Math.floor(bx), Math.floor(by), value);
    const reach = Math.ceil(radius) + 1;
    const left = Math.floor(Math.min(ax, bx)) - reach;
    const right = Math.ceil(Math.max(ax, bx)) + reach;
    const upper = Math.floor(Math.min(ay, by)) - reach;
    const lower = Math.ceil(Math.max(ay, by)) + reach;
    const box = clipBox([left, upper, right - left, lower - upper], this.width, this.height);
    this.touched(box);
    return box;
  }

  /** The pixels between two pixels, without a gap (Bresenham). */
  _line(x, y, x1, y1, value) {
    const dx = Math.abs(x1 - x);
    const dy = -Math.abs(y1 - y);
    const sx = x < x1 ? 1 : -1;
    const sy = y < y1 ? 1 : -1;
    let error = dx + dy;
    for (;;) {
      this.span(y, x, x + 1, value);
      if (x === x1 && y === y1) return;
      const twice = 2 * error;
      if (twice >= dy) { error += dy; x += sx; }
      if (twice <= dx) { error += dx; y += sy; }
    }
  }

  /** Runs of `box`, row-major, beginning with empty pixels. */
  runs(box) {
    const [left, top, width, height] = box;
    const runs = [];
    let value = 0;
    let length = 0;
    const add = (bit, count) => {
      if (bit === value) { length += count; return; }
      runs.push(length);
      value = bit;
      length = count;
    };
    for (let y = top; y < top + height; y++) {
      let x = left;
      while (x < left + width) {
        const column = (x / TILE) | 0;
        const end = Math.min(left + width, (column + 1) * TILE);
        const tile = this.tiles.get(((y / TILE) | 0) * this.across + column);
        if (!tile || tile.bits === FULL) {
          add(tile ? 1 : 0, end - x);
        } else {
          const base = (y % TILE) * TILE - column * TILE;
          for (let i = x; i < end; i++) add(tile.bits[base + i], 1);
        }
        x = end;
      }
    }
    runs.push(length);
    return runs;
  }

  setRuns(box, runs) {
    const [left, top, width, height] = box;
    let at = 0;
    let value = 0;
    for (const run of runs) {
      let begin = at;
      at += run;
      while (begin < at) {
        const row = (begin / width) | 0;
        const end = Math.min(at, (row + 1) * width);
        this.span(top + row, left + begin - row * width, left + end - row * width, value);
        begin = end;
      }
      value = 1 - value;
    }
    this.touched([left, top, width, height]);
  }

  /** The box [x, y, w, h] that holds all pixels; null when there are none. */
  bounds() {
    let box = null;
    for (const [key, tile] of this.tiles) {
      tile.sum ?? measure(tile);
      if (!tile.sum) continue;
      const [x, y, w, h] = tile.extent;
      box = unionBox(box, [(key % this.across) * TILE + x, ((key / this.across) | 0) * TILE + y, w, h]);
    }
    return box;
  }

  /** How many pixels it has. */
  area() {
    let sum = 0;
    for (const tile of this.tiles.values()) sum += tile.sum ?? measure(tile);
    return sum;
  }

  /** A copy moved by whole pixels. */
  moved(dx, dy) {
    const box = this.bounds();
    const moved = new Bitmap(this.width, this.height);
    if (box) moved.setRuns([box[0] + dx, box[1] + dy, box[2], box[3]], this.runs(box));
    return moved;
  }

  /** Fill the empty area around (x, y) that the mask encloses; false when it is open to the picture's border. */
  fillAt(x, y) {
    if (this.get(x, y)) return null;
    const box = this.bounds();
    if (!box) return null;
    const [left, top, width, height] = box;
    const inside = (px, py) => px >= left && py >= top && px < left + width && py < top + height;
    if (!inside(x, y)) return null;
    const seen = new Uint8Array(width * height);
    const spans = [];
    const stack = [[x, y]];
    while (stack.length) {
      const [px, py] = stack.pop();
      if (seen[(py - top) * width + px - left] || this.get(px, py)) continue;
      let x0 = px;
      let x1 = px;
      while (x0 > left && !this.get(x0 - 1, py)) x0--;
      while (x1 < left + width - 1 && !this.get(x1 + 1, py)) x1++;
      if (x0 === left || x1 === left + width - 1 || py === top || py === top + height - 1) return null;
      spans.push([py, x0, x1 + 1]);
      seen.fill(1, (py - top) * width + x0 - left, (py - top) * width + x1 - left + 1);
      for (const ny of [py - 1, py + 1]) {
        for (let nx = x0; nx <= x1; nx++) {
          if (!seen[(ny - top) * width + nx - left] && !this.get(nx, ny)) stack.push([nx, ny]);
        }
      }
    }
    let box1 = null;
    for (const [py, x0, x1] of spans) {
      this.span(py, x0, x1, 1);
      box1 = unionBox(box1, [x0, py, x1 - x0, 1]);
    }
    this.touched(box1);
    return box1;
  }

  /** Forget what was drawn of the tiles in `box`, and drop tiles that became empty or full. */
  touched(box) {
    if (!box || box[2] <= 0 || box[3] <= 0) return;
    const [c0, r0] = [(box[0] / TILE) | 0, (box[1] / TILE) | 0];
    const [c1, r1] = [((box[0] + box[2]) / TILE) | 0, ((box[1] + box[3]) / TILE) | 0];
    for (let row = Math.max(0, r0 - 1); row <= r1 + 1; row++) {
      for (let column = Math.max(0, c0 - 1); column <= c1 + 1; column++) {
        const key = row * this.across + column;
        const tile = this.tiles.get(key);
        if (!tile) continue;
        tile.edges = null;
        tile.sum = undefined;
        if (row < r0 || row > r1 || column < c0 || column > c1) continue;
        if (!tile.dirty) tile.dirty = [TILE, TILE, 0, 0];
        const d = tile.dirty;
        d[0] = Math.min(d[0], Math.max(0, box[0] - column * TILE));
        d[1] = Math.min(d[1], Math.max(0, box[1] - row * TILE));
        d[2] = Math.max(d[2], Math.min(TILE, box[0] + box[2] - column * TILE));
        d[3] = Math.max(d[3], Math.min(TILE, box[1] + box[3] - row * TILE));
      }
    }
  }

  /** Give back memory: tiles that are empty go, full ones share one array. Call it after a stroke, not during one. */
  settle() {
    for (const [key, tile] of this.tiles) {
      if (tile.bits === FULL) continue;
      if (tile.bits.indexOf(1) < 0) this.tiles.delete(key);
      else if (tile.bits.indexOf(0) < 0) { tile.bits = FULL; }
    }
  }

  /**
   * Draw the pixels in `color` ([r, g, b]) as far as they lie in `box`. The context counts device pixels; tiles end on
   * whole ones, else a hairline would show between them.
   */
  draw(context, color, box, view) {
    for (const [tile, x, y] of this._in(box)) {
      const left = Math.round(view.left + x * view.scale);
      const top = Math.round(view.top + y * view.scale);
      const right = Math.round(view.left + Math.min(x + TILE, this.width) * view.scale);
      const bottom = Math.round(view.top + Math.min(y + TILE, this.height) * view.scale);
      if (tile.bits === FULL && tile.canvas === null) {
        context.fillStyle = `rgb(${color})`;
        context.fillRect(left, top, right - left, bottom - top);
      } else {
        const [w, h] = [Math.min(TILE, this.width - x), Math.min(TILE, this.height - y)];
        context.drawImage(tileCanvas(tile, color), 0, 0, w, h, left, top, right - left, bottom - top);
      }
    }
  }

  /** Stroke the outline along the pixel edges with the context's own style; the context counts picture pixels. */
  drawEdges(context, box) {
    for (const [tile, x, y] of this._in(box)) {
      tile.edges ??= this._edges(tile, x, y);
      context.stroke(tile.edges);
    }
  }

  *_in(box) {
    for (const [key, tile] of this.tiles) {
      const x = (key % this.across) * TILE;
      const y = ((key / this.across) | 0) * TILE;
      if (x < box[0] + box[2] && y < box[1] + box[3] && x + TILE > box[0] && y + TILE > box[1]) yield [tile, x, y];
    }
  }

  /**
   * The edges of one tile's pixels, as long lines. Each tile draws the upper and left sides of its pixels, and the far
   * ones only where no tile follows. Rows that are as the one above cost next to nothing: most are.
   */
  _edges(tile, x0, y0) {
    const path = new Path2D();
    const bits = tile.bits;
    if (bits === FULL && !this._hasOpenSide(x0, y0)) return path;
    const words = new Uint32Array(bits.buffer);
    const [column, row] = [x0 / TILE, y0 / TILE];
    const last = [this.tiles.has(row * this.across + column + 1) ? TILE : TILE + 1, // how many lines are ours
      this.tiles.has((row + 1) * this.across + column) ? TILE : TILE + 1];
    const open = new Int32Array(TILE + 1).fill(-1); // where the vertical line at x began
    const close = (x, y) => {
      path.moveTo(x0 + x, y0 + open[x]);
      path.lineTo(x0 + x, y0 + y);
      open[x] = -1;
    };
    for (let y = 0; y < last[1]; y++) {
      const base = y * TILE;
      if (y > 0 && y < TILE && sameRow(words, base / 4)) {
        this._leftEdge(bits[base], x0, y0, y, open, close);
        continue;
      }
      let begin = -1;
      for (let x = 0; x < TILE; x++) {
        const above = y > 0 ? bits[base - TILE + x] : this.get(x0 + x, y0 - 1);
        const here = y < TILE ? bits[base + x] : 0;
        if (above !== here) {
          if (begin < 0) begin = x;
        } else if (begin >= 0) {
          path.moveTo(x0 + begin, y0 + y);
          path.lineTo(x0 + x, y0 + y);
          begin = -1;
        }
      }
      if (begin >= 0) {
        path.moveTo(x0 + begin, y0 + y);
        path.lineTo(x0 + TILE, y0 + y);
      }
      if (y === TILE) break;
      this._leftEdge(bits[base], x0, y0, y, open, close);
      for (let x = 1; x < last[0]; x++) {
        const differs = bits[base + x - 1] !== (x < TILE ? bits[base + x] : 0);
        if (differs && open[x] < 0) open[x] = y;
        else if (!differs && open[x] >= 0) close(x, y);
      }
    }
    for (let x = 0; x <= TILE; x++) if (open[x] >= 0) close(x, TILE);
    return path;
  }

  _leftEdge(here, x0, y0, y, open, close) {
    const differs = here !== this.get(x0 - 1, y0 + y);
    if (differs && open[0] < 0) open[0] = y;
    else if (!differs && open[0] >= 0) close(0, y);
  }

  _hasOpenSide(x0, y0) {
    const [column, row] = [(x0 / TILE) | 0, (y0 / TILE) | 0];
    const full = (c, r) => this.tiles.get(r * this.across + c)?.bits === FULL;
    return !(full(column - 1, row) && full(column + 1, row) && full(column, row - 1) && full(column, row + 1));
  }
}

/** Whether the row of a tile that begins at `word` is as the one above it. */
function sameRow(words, word) {
  for (let i = word; i < word + TILE / 4; i++) if (words[i] !== words[i - TILE / 4]) return false;
  return true;
}

/** Count a tile's pixels and find their extent; kept until the tile changes. */
function measure(tile) {
  const bits = tile.bits;
  let [left, top, right, bottom] = [TILE, TILE, -1, -1];
  let sum = 0;
  if (bits === FULL) [left, top, right, bottom, sum] = [0, 0, TILE - 1, TILE - 1, PIXELS];
  else {
    for (let y = 0; y < TILE; y++) {
      let row = 0;
      const base = y * TILE;
      for (let x = 0; x < TILE; x++) row += bits[base + x];
      if (!row) continue;
      sum += row;
      top = Math.min(top, y);
      bottom = y;
      left = Math.min(left, bits.indexOf(1, base) - base);
      right = Math.max(right, bits.lastIndexOf(1, base + TILE - 1) - base);
    }
  }
  tile.extent = [left, top, right - left + 1, bottom - top + 1];
  return (tile.sum = sum);
}

/** The tile as a picture in one colour; only what changed since the last time is made anew. */
function tileCanvas(tile, color) {
  const name = color.join();
  if (!tile.canvas || tile.color !== name) {
    tile.canvas ??= new OffscreenCanvas(TILE, TILE);
    tile.color = name;
    tile.dirty = [0, 0, TILE, TILE];
  }
  if (tile.dirty) {
    const [x0, y0, x1, y1] = tile.dirty;
    tile.dirty = null;
    if (x1 > x0 && y1 > y0) {
      const image = new ImageData(x1 - x0, y1 - y0);
      const words = new Uint32Array(image.data.buffer);
      const word = (255 << 24) | (color[2] << 16) | (color[1] << 8) | color[0];
      let i = 0;
      for (let y = y0; y < y1; y++) {
        for (let x = x0; x < x1; x++) words[i++] = tile.bits[y * TILE + x] ? word : 0;
      }
      tile.canvas.getContext('2d').putImageData(image, x0, y0);
    }
  }
  return tile.canvas;
}

/** The range of x within `radius` of the segment a-b in the row through y; null when there is none. */
function capsuleRow(ax, ay, bx, by, radius, y) {
  let low = Infinity;
  let high = -Infinity;
  for (const [cx, cy] of [[ax, ay], [bx, by]]) {
    const rest = radius * radius - (y - cy) * (y - cy);
    if (rest >= 0) {
      low = Math.min(low, cx - Math.sqrt(rest));
      high = Math.max(high, cx + Math.sqrt(rest));
    }
  }
  const length = Math.hypot(bx - ax, by - ay);
  if (length > 0) {
    const nx = (-(by - ay) / length) * radius;
    const ny = ((bx - ax) / length) * radius;
    const corners = [[ax + nx, ay + ny], [bx + nx, by + ny], [bx - nx, by - ny], [ax - nx, ay - ny]];
    for (let i = 0; i < 4; i++) {
      const [x0, y0] = corners[i];
      const [x1, y1] = corners[(i + 1) % 4];
      if (y < Math.min(y0, y1) || y > Math.max(y0, y1) || y0 === y1) continue;
      const x = x0 + ((y - y0) / (y1 - y0)) * (x1 - x0);
      low = Math.min(low, x);
      high = Math.max(high, x);
    }
  }
  return low <= high ? [low, high] : null;
}

export function clipBox([x, y, w, h], width, height) {
  const left = Math.max(0, x);
  const top = Math.max(0, y);
  return [left, top, Math.max(0, Math.min(width, x + w) - left), Math.max(0, Math.min(height, y + h) - top)];
}

export function unionBox(a, b) {
  if (!a || a[2] <= 0 || a[3] <= 0) return b;
  if (!b || b[2] <= 0 || b[3] <= 0) return a;
  const left = Math.min(a[0], b[0]);
  const top = Math.min(a[1], b[1]);
  return [left, top, Math.max(a[0] + a[2], b[0] + b[2]) - left, Math.max(a[1] + a[3], b[1] + b[3]) - top];
}
