// Long lists: only the rows in view are in the page, so that 5,000 pictures scroll as 10 do.

/** An element with properties (on... are listeners, class and data-... as in HTML) and children. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes('-') && name !== 'list') element[name] = value;
    else element.setAttribute(name === 'class' ? 'class' : name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export class VirtualList {
  /** @param {number} height of a row in CSS pixels @param {(item: any, index: number) => HTMLElement} makeRow */
  constructor(height, makeRow, name) {
    this.height = height;
    this.makeRow = makeRow;
    this.items = [];
    this.inner = h('div', { class: 'rows' });
    this.element = h('div', { class: 'list', role: 'listbox', 'aria-label': name, tabIndex: -1 }, this.inner);
    this.element.addEventListener('scroll', () => this.render(), { passive: true });
    new ResizeObserver(() => this.render()).observe(this.element);
  }

  show(items) {
    this.items = items;
    this.render();
  }

  render() {
    const { element, height } = this;
    const first = Math.max(0, Math.floor(element.scrollTop / height) - 3);
    const last = Math.min(this.items.length, Math.ceil((element.scrollTop + element.clientHeight) / height) + 3);
    this.inner.style.height = `${this.items.length * height}px`;
    this.inner.replaceChildren(...this.items.slice(first, last).map((item, i) => {
      const row = this.makeRow(item, first + i);
      row.style.top = `${(first + i) * height}px`;
      row.style.height = `${height}px`;
      return row;
    }));
  }

  /** Bring a row into view. */
  reveal(index) {
    const { element, height } = this;
    if (index < 0) return;
    if (index * height < element.scrollTop || (index + 1) * height > element.scrollTop + element.clientHeight) {
      element.scrollTop = Math.max(0, index * height - element.clientHeight / 2);
    }
  }
}
