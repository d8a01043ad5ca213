// Elements. Text becomes text nodes, never markup.
import { maybe } from '../texts/index.js';
import { shown } from './shown.js';

export type Child = Node | string | number | null | undefined | false | Child[];
type Props = Record<string, unknown>;

const SVG = 'http://www.w3.org/2000/svg';

/** An element: `on…` functions listen, booleans toggle, everything else is an attribute. */
export function h<K extends keyof HTMLElementTagNameMap> (tag: K, props?: Props | null, ...children: Child[]): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function s (tag: string, props?: Props | null, ...children: Child[]): SVGElement {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill<E extends Element> (element: E, props: Props | null | undefined, children: Child[]): E {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2).toLowerCase(), value as EventListener);
    else if (name === 'value' && 'value' in element) (element as unknown as HTMLInputElement).value = String(value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  add(element, children);
  return element;
}

function add (parent: Node, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(parent, child);
    else parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Replaces what an element holds. */
export function put<E extends Element> (parent: E, ...children: Child[]): E {
  parent.replaceChildren();
  add(parent, children);
  return parent;
}

/** Text from the archive, isolated from the direction of what surrounds it, its invisible characters made visible. */
export function alien (text: unknown, props?: Props): HTMLElement {
  return h('bdi', props, shown(String(text ?? '')));
}

/** A word of the archive in the reader's language where it is known, else as it is. */
export function named (prefix: string, word: unknown): Child {
  const known = maybe(`${prefix}.${String(word)}`, '');
  return known === '' ? alien(word) : known;
}

let ids = 0;
/** A fresh id, for labels. */
export const freshId = (): string => `i${++ids}`;
