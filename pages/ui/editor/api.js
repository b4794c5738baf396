// Talking to the server: /api/projects/..., JSON in and out. See core/serving/editing.py for the other end.

const BASE = new URL('../../', import.meta.url); // this file is served as .../editor/<digest>/api.js

/** The server answered, and it was no: `status`, and its words. */
export class Refused extends Error {
  constructor(status, message, hint, body) {
    super(message);
    this.status = status;
    this.hint = hint ?? '';
    this.body = body;
  }
}

/** @param {string} path below /api/ @param {?object} body is POSTed as JSON. Rejects with Refused, or TypeError offline. */
export async function ask(path, body = null, signal = undefined) {
  const options = body === null ? { signal } : {
    method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' }, signal,
  };
  const answer = await fetch(new URL(`api/${path}`, BASE), options);
  let value = null;
  try {
    value = await answer.json();
  } catch {
    // a proxy's error page; the status says it
  }
  if (!answer.ok || value === null) {
    throw new Refused(answer.status, value?.message ?? `The server answered ${answer.status}.`, value?.hint, value);
  }
  return value;
}

export const projectPath = (project) => `projects/${encodeURIComponent(project)}`;
export const samplePath = (project, sample) => `${projectPath(project)}/samples/${encodeURIComponent(sample)}`;
export const apiUrl = (path) => new URL(`api/${path}`, BASE).href;
