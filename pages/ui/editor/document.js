// The annotation of the open picture: what is drawn at once, and what the server has on disk.
//
// Each change is done here first, put into a queue that survives a reload, and POSTed in order. "saved" is said only when
// the server has answered the last one, which it does when the change is on disk.

import { ask, Refused, samplePath } from './api.js';
import { unionBox } from './bitmap.js';
import { changed, fromWire, toWire } from './shapes.js';

const RETRY = [500, 1000, 2000, 4000, 8000]; // milliseconds

export class AnnotationDocument extends EventTarget {
  /** @param {string} author who is said to have drawn it */
  constructor(project, sample, author) {
    super();
    Object.assign(this, { project, sample, author });
    /** @type {import('./shapes.js').Shape[]} in painting order: later ones paint over earlier ones */
    this.shapes = [];
    this.size = { width: 0, height: 0 };
    this.head = { version: 0, state: 'todo', author: '', time: '', undo: null, redo: null };
    this.queue = []; // changes that the server has not confirmed
    this.status = 'loading'; // loading, saved, saving, offline, conflict, failed, closed
    this.sending = null;
    this.unsure = false; // whether the server has the first change of the queue already
    this.inHand = false; // while the pointer is down: what it holds must not be taken from under it
    this.blocked = 0; // while the server computes something that changes the list, nothing else may
  }

  get path() { return samplePath(this.project, this.sample); }
  get pendingKey() { return `maskloop:pending:${this.project}:${this.sample}`; }

  async open(signal) {
    this._take(await ask(`${this.path}/document`, null, signal));
    const pending = this._readPending();
    if (pending.length) await this._resume(pending);
    this._say(this.conflictWith ? 'conflict' : this.queue.length ? 'saving' : 'saved');
    this._send();
    return this;
  }

  close() {
    this.closed = true;
  }

  _take(answer) {
    this.size = { width: answer.width, height: answer.height };
    this.shapes = answer.shapes.map((wire) => fromWire(wire, this.size));
    this._takeHead(answer);
    this._changed();
  }

  _takeHead({ version, state, author, time, undo, redo }) {
    this.head = { version, state, author, time, undo, redo };
  }

  /** Changes that a reload or a dead server cut off. They fit only the version that they were made on. */
  async _resume(pending) {
    this.queue = pending;
    const behind = this.head.version - pending[0].base;
    if (behind === 0) {
      for (const item of pending) this._applyEdits(item.body.edits ?? []);
      this._changed();
    } else if (behind === 1) {
      this.unsure = true; // the server may have the first one already: it says so when it is asked again
    } else {
      this.conflictWith = { version: this.head.version, author: this.head.author, time: this.head.time };
      await this._showMine();
    }
  }

  /** The shapes as they were drawn here before a reload: the state that the queue began from, and its changes. */
  async _showMine() {
    const { base } = this.queue[0];
    try {
      const began = base ? await ask(`${this.path}/states/${base}`) : { shapes: [] };
      this.shapes = began.shapes.map((wire) => fromWire(wire, this.size));
    } catch {
      // that state is not to be had: what was drawn is shown on what the server has
    }
    for (const item of this.queue) this._applyEdits(item.body.edits ?? []);
    this._changed();
  }

  // -------------------------------------------------------------------------------------------------- changing

  /** Replace `remove` shapes at `at` by `add`; undone in one step with the others of `edits` in the same call. */
  splice(what, edits) {
    const sent = edits.map(({ at, remove, add }) => {
      this.shapes.splice(at, remove, ...add);
      return { kind: 'splice', at, remove, add: add.map(toWire) };
    });
    this._push(what, sent);
  }

  /** Shapes for shapes: `replacements` maps the index of a shape to the one that takes its place. */
  replace(what, replacements) {
    this.splice(what, [...replacements].map(([at, shape]) => ({ at, remove: 1, add: [shape] })));
  }

  append(what, shapes) {
    this.splice(what, [{ at: this.shapes.length, remove: 0, add: shapes }]);
  }

  remove(what, indexes) {
    this.splice(what, [...indexes].sort((a, b) => b - a).map((at) => ({ at, remove: 1, add: [] })));
  }

  /** Pixels of masks that were painted already: [[index, box], ...]. */
  painted(what, parts) {
    const edits = parts.map(([at, box]) => ({ kind: 'paint', at, box, rle: this.shapes[at].mask.runs(box) }));
    this._push(what, edits, parts.reduce((box, [, part]) => unionBox(box, part), null));
  }

  _push(what, edits, box = undefined) {
    this._enqueue('changes', { what, edits });
    this._changed(box);
  }

  /** What the server works out: union, holes, polygons. Resolves when it is here. */
  operate(what, name, at, points = undefined, options = {}) {
    return this._ordered('changes', { what, edits: [{ kind: 'op', name, at, points, options }] });
  }

  undo() { return this.head.undo === null && !this.queue.length ? null : this._ordered('undo', {}); }
  redo() { return this.head.redo === null && !this.queue.length ? null : this._ordered('redo', {}); }
  setState(state) { return this._ordered('state', { state }); }

  async restore(version) {
    await this._ordered('restore', { to: version });
  }

  /** Something whose answer changes the list: nothing else may be drawn until it is here. */
  _ordered(route, body) {
    this.blocked += 1;
    this._changed(null);
    return new Promise((resolve, reject) => {
      this._enqueue(route, body, { resolve, reject });
    }).finally(() => {
      this.blocked -= 1;
      this._changed(null);
    });
  }

  /** Resolves when all that was drawn is on disk, or cannot be. */
  settled() {
    if (!this.queue.length || this.conflictWith) return Promise.resolve();
    return new Promise((resolve) => {
      const look = () => {
        if (this.queue.length && !this.conflictWith) return;
        this.removeEventListener('status', look);
        resolve();
      };
      this.addEventListener('status', look);
    });
  }

  // --------------------------------------------------------------------------------------------------- sending

  _enqueue(route, body, waiting = null) {
    const last = this.queue.at(-1);
    const base = last ? last.base + 1 : this.head.version;
    const id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    this.queue.push({ id, route, base, body, waiting, drawn: performance.now() });
    this._writePending();
    if (!this.conflictWith) this._say('saving');
    this._send();
  }

  async _send() {
    if (this.sending || !this.queue.length || this.conflictWith) return;
    const item = this.queue[0];
    this.sending = item;
    try {
      const body = { ...item.body, base_version: item.base, author: this.author, id: item.id };
      const answer = await ask(`${this.path}/${item.route}`, body);
      this.attempt = 0;
      this.queue.shift();
      this.savedIn = performance.now() - item.drawn;
      for (const [i, rest] of this.queue.entries()) rest.base = answer.version + i;
      this._takeHead(answer);
      if (this.unsure) { // what it was about was drawn before a reload: read what the server made of it
        this.unsure = false;
        this._take(await ask(`${this.path}/document`));
        for (const rest of this.queue) this._applyEdits(rest.body.edits ?? []);
      } else {
        this._applyEdits(answer.splices.map((splice) => ({ kind: 'splice', ...splice })));
        this._changed(answer.splices.length ? undefined : null);
      }
      item.waiting?.resolve(answer);
    } catch (error) {
      await this._failed(item, error);
    } finally {
      this.sending = null;
    }
    this._writePending();
    if (this.queue.length && !this.conflictWith && this.status !== 'offline') this._send();
    else if (!this.queue.length && this.status !== 'failed') this._say('saved');
  }

  async _failed(item, error) {
    if (!(error instanceof Refused) || error.status >= 500) { // no answer: it is tried again until there is one
      const wait = RETRY[Math.min(this.attempt ?? 0, RETRY.length - 1)];
      this.attempt = (this.attempt ?? 0) + 1;
      this._say('offline');
      setTimeout(() => { if (!this.closed || this.queue.length) this._send(); }, wait);
      return;
    }
    if (error.status === 409) {
      this.conflictWith = error.body ?? {};
      if (this.unsure) {
        this.unsure = false;
        await this._showMine();
      }
      this._say('conflict');
      for (const other of this.queue) other.waiting?.reject(error);
      return;
    }
    // the server does not take it: go back to what it has, and say why
    this.queue.shift();
    const rest = this.queue.splice(0);
    for (const other of [item, ...rest]) other.waiting?.reject(error);
    this._writePending();
    this._take(await ask(`${this.path}/document`));
    this.dispatchEvent(new CustomEvent('refused', { detail: error }));
    this._say('saved');
  }

  // ------------------------------------------------------------------------------------------------- conflicts

  /** Somebody saved in between. "theirs" or "mine" goes on; the other one stays in the history. */
  async resolve(which) {
    const mine = this.shapes.map(toWire);
    await ask(`${this.path}/keep`, { author: this.author, shapes: mine, base_version: this.head.version });
    this.queue = [];
    this._writePending();
    this.conflictWith = null;
    this._take(await ask(`${this.path}/document`));
    if (which === 'mine') {
      const shapes = mine.map((wire) => fromWire(wire, this.size));
      this.splice('Took mine after a conflict', [{ at: 0, remove: this.shapes.length, add: shapes }]);
    } else {
      this._say('saved');
    }
    this._changed();
  }

  /** Whether another tab or person has saved since. Shows it at once when nothing of ours waits. */
  async look() {
    if (this.conflictWith || this.status === 'loading' || this._occupied) return;
    const answer = await ask(`${this.path}/document`);
    if (this._occupied || answer.version === this.head.version) return;
    this._take(answer);
    this.dispatchEvent(new CustomEvent('renewed', { detail: answer }));
  }

  get _occupied() { return this.closed || this.inHand || this.queue.length > 0 || this.blocked > 0; }

  // ------------------------------------------------------------------------------------------------ local parts

  _applyEdits(edits) {
    for (const edit of edits) {
      if (edit.kind === 'splice') {
        const removed = this.shapes.slice(edit.at, edit.at + edit.remove);
        const one = removed.length === edit.add.length; // shapes that were changed keep their identity
        const added = edit.add.map((wire, i) => fromWire(wire, this.size, one ? removed[i].id : undefined));
        this.shapes.splice(edit.at, edit.remove, ...added);
      } else if (edit.kind === 'paint') {
        const shape = this.shapes[edit.at];
        shape?.mask?.setRuns(edit.box, edit.rle);
        if (shape) this.shapes[edit.at] = changed(shape, {});
      }
    }
  }

  _readPending() {
    try {
      return JSON.parse(localStorage.getItem(this.pendingKey)) ?? [];
    } catch {
      return [];
    }
  }

  _writePending() {
    try {
      if (!this.queue.length) localStorage.removeItem(this.pendingKey);
      else {
        const items = this.queue.map(({ id, route, base, body }) => ({ id, route, base, body }));
        localStorage.setItem(this.pendingKey, JSON.stringify(items));
      }
    } catch {
      // the browser's store is full or forbidden: the change waits in memory only
    }
  }

  _say(status) {
    this.status = status;
    this.dispatchEvent(new Event('status'));
  }

  /** @param {?number[]} box where shapes changed; undefined: anywhere, null: nowhere, only what can be undone */
  _changed(box = undefined) {
    this.dispatchEvent(new CustomEvent('change', { detail: { box } }));
  }
}
