export function findings() { return []; }
