// Where the picture is on the screen. Device pixels: those of the screen, devicePixelRatio of them to a CSS pixel.

const MOST = 64; // CSS pixels a picture pixel
const STEP = 1.0015; // a unit of the wheel

export class View {
  constructor() {
    this.scale = 1; // device pixels a picture pixel
    this.left = 0; // where the picture's corner is, device pixels
    this.top = 0;
    this.width = 1; // of the view, device pixels
    this.height = 1;
    this.ratio = 1;
    this.picture = { width: 1, height: 1 };
    this.fitted = true; // it follows the size of the window until somebody zooms
  }

  resize(width, height, ratio) {
    const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    if (w === this.width && h === this.height && ratio === this.ratio) return false;
    const middle = this.toPicture(this.width / this.ratio / 2, this.height / this.ratio / 2);
    const zoom = this.scale / this.ratio;
    Object.assign(this, { width: w, height: h, ratio });
    if (this.fitted) this.fit();
    else this.centre(middle, zoom);
    return true;
  }

  show(picture) {
    this.picture = picture;
    this.fit();
  }

  /** The whole picture, with a little air. */
  fit() {
    const air = 8 * this.ratio;
    const { width, height } = this.picture;
    const scale = Math.min((this.width - 2 * air) / width, (this.height - 2 * air) / height, MOST * this.ratio);
    this.scale = Math.max(scale, 1e-3);
    this.left = (this.width - width * this.scale) / 2;
    this.top = (this.height - height * this.scale) / 2;
    this.fitted = true;
  }

  /** Put the picture point in the middle, at `zoom` CSS pixels a picture pixel. */
  centre([x, y], zoom = this.scale / this.ratio) {
    this.scale = this._clamped(zoom * this.ratio);
    this.left = this.width / 2 - x * this.scale;
    this.top = this.height / 2 - y * this.scale;
    this.fitted = false;
    this._keep();
  }

  /** Zoom so that what is under (x, y), CSS pixels, stays there. */
  zoomAt(x, y, factor) {
    const scale = this._clamped(this.scale * factor);
    const real = scale / this.scale;
    this.left = x * this.ratio - (x * this.ratio - this.left) * real;
    this.top = y * this.ratio - (y * this.ratio - this.top) * real;
    this.scale = scale;
    this.fitted = false;
    this._keep();
  }

  wheel(x, y, delta) { this.zoomAt(x, y, STEP ** -delta); }

  pan(dx, dy) {
    this.left += dx * this.ratio;
    this.top += dy * this.ratio;
    this.fitted = false;
    this._keep();
  }

  _clamped(scale) {
    const least = Math.min(this.width / this.picture.width, this.height / this.picture.height, 1) / 4;
    return Math.max(least, Math.min(MOST * this.ratio, scale));
  }

  /** A part of the picture stays in view, so that nobody gets lost beside it. */
  _keep() {
    const margin = 40 * this.ratio;
    this.left = Math.min(this.width - margin, Math.max(margin - this.picture.width * this.scale, this.left));
    this.top = Math.min(this.height - margin, Math.max(margin - this.picture.height * this.scale, this.top));
  }

  /** CSS pixels of the view to picture pixels. */
  toPicture(x, y) {
    return [(x * this.ratio - this.left) / this.scale, (y * this.ratio - this.top) / this.scale];
  }

  /** Picture pixels to CSS pixels of the view. */
  toScreen([x, y]) {
    return [(this.left + x * this.scale) / this.ratio, (this.top + y * this.scale) / this.ratio];
  }

  /** So many CSS pixels, in picture pixels. */
  reach(pixels) { return (pixels * this.ratio) / this.scale; }

  /** The part of the picture that is seen, [x, y, w, h] in whole pixels. */
  seen() {
    const x = Math.floor(Math.max(0, -this.left / this.scale));
    const y = Math.floor(Math.max(0, -this.top / this.scale));
    const right = Math.ceil(Math.min(this.picture.width, (this.width - this.left) / this.scale));
    const bottom = Math.ceil(Math.min(this.picture.height, (this.height - this.top) / this.scale));
    return [x, y, Math.max(0, right - x), Math.max(0, bottom - y)];
  }

  /** Let a context count picture pixels. */
  inPicture(context) { context.setTransform(this.scale, 0, 0, this.scale, this.left, this.top); }

  /** Let a context count device pixels. */
  inDevice(context) { context.setTransform(1, 0, 0, 1, 0, 0); }
}
