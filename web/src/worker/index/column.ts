type Array64 = Float64Array | Uint32Array | Uint8Array;

/** Numbers of one kind, growing. */
export class Column<A extends Array64> {
  #values: A;
  #length = 0;

  constructor (private readonly make: new (length: number) => A, expected: number) {
    this.#values = new make(Math.max(1024, expected));
  }

  push (value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new this.make(Math.ceil(this.#length * 1.5));
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = value;
  }

  /** The values, without the room to grow. */
  done (): A {
    return this.#values.length === this.#length ? this.#values : this.#values.slice(0, this.#length) as A;
  }
}

/** Numbers for texts. */
export class Names {
  readonly names: string[] = [];
  #numbers = new Map<string, number>();

  of (name: string): number {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.names.length;
      this.names.push(name);
      this.#numbers.set(name, number);
    }
    return number;
  }
}
