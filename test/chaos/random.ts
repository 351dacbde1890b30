import { createHash } from 'node:crypto'

/** The same draws for the same seed and purpose: what draws for one purpose changes nothing for another. */
export class Random {
  #draws = 0

  constructor(
    private readonly seed: number,
    private readonly purpose: string,
  ) {}

  /** From 0 up to, and never, 1. */
  next(): number {
    const text = `${this.seed}/${this.purpose}/${this.#draws++}`
    return createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32
  }

  between(from: number, to: number): number {
    return from + this.next() * (to - from)
  }

  /** @throws Error when there is nothing to pick from */
  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)]
    if (item === undefined) throw new Error('nothing to pick from')
    return item
  }

  /** One of the keys, each as often as its weight says. */
  weighted<T extends string>(weights: Readonly<Partial<Record<T, number>>>): T {
    const entries = Object.entries(weights) as [T, number][]
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    return entries.find(([, weight]) => (left -= weight) < 0)?.[0] ?? this.pick(entries)[0]
  }
}
