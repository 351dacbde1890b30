import type { Target } from './table.js'

let turn = 0

/** Replicas take turns. */
export function nextAddress({ addresses }: Target): string {
  turn = (turn + 1) % Number.MAX_SAFE_INTEGER
  return addresses[turn % addresses.length] ?? ''
}
