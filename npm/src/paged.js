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

  /**
   * Some of them.
   * @param {number[]} places in their order
   * @returns {Iterable<T>}
   */
  pick (places) {
    const page = this.#page;
    return {
      * [Symbol.iterator] () {
        for (let i = 0, next = 0; i < places.length; i = next) {
          for (next = i + 1; next - i < PAGE && places[next] === places[i] + next - i;) next++;
          yield * /** @type {T[]} */ (JSON.parse(page(places[i], next - i)));
        }
      },
    };
  }

  /** @returns {Generator<T, void>} */
  * [Symbol.iterator] () {
    for (let from = 0; from < this.length; from += PAGE) yield * /** @type {T[]} */ (JSON.parse(this.#page(from, PAGE)));
  }
}
