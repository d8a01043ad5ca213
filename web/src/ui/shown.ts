// Characters that hide, reorder or steer are shown as what they are.

// C0 and C1 controls (line ends and tabs aside), soft hyphen, Arabic letter mark, zero-width and directional marks,
// line and paragraph separators, embeddings, overrides and isolates, byte order mark, interlinear marks, tag characters.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200c\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** Whether a text holds such characters. */
export function isHiding (text: string): boolean {
  HIDDEN.lastIndex = 0;
  return HIDDEN.test(text);
}

/** The text as nodes, each hidden character as a small mark with its number. */
export function shown (text: string): Array<Node> {
  const nodes: Node[] = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > from) nodes.push(document.createTextNode(text.slice(from, match.index)));
    const mark = document.createElement('span');
    mark.className = 'hidden-char';
    mark.textContent = nameOf(match[0]);
    nodes.push(mark);
    from = match.index + match[0].length;
  }
  if (from < text.length || nodes.length === 0) nodes.push(document.createTextNode(text.slice(from)));
  return nodes;
}

/** The same as plain text, for places that take no elements. */
export function shownText (text: string): string {
  return text.replace(HIDDEN, (c) => `[${nameOf(c)}]`);
}

function nameOf (c: string): string {
  return `U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}
