/** Items that are asked for at once. */
const PAGE = 1000;

/**
 * A list that the core keeps, and gives a part at a time: there may be millions of items. It can be iterated any number of times.
 * @template T
 */
export class Paged {
  #page;

  /**
   * @param {number} length how many items there are
   * @param {(from: number, count: number) => string} page JSON of so many items from a place on
   */
  constructor (length, page) {
    this.length = length;
    this.#page = page;
  }

  /** @returns {Generator<T, void>} */
  * [Symbol.iterator] () {
    for (let from = 0; from < this.length; from += PAGE) yield * /** @type {T[]} */ (JSON.parse(this.#page(from, PAGE)));
  }
}
