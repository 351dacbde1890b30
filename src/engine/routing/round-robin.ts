import type { Target } from './table.js'

/** Shares out the requests of each deployment among its replicas. */
export class RoundRobin {
  readonly #next = new Map<string, number>()

  /** Each first try takes a turn; a further one goes to the next replica that was not tried, while there is one. */
  take({ deploymentId, addresses }: Target, tried: ReadonlySet<string>): string {
    const turn = this.#next.get(deploymentId) ?? 0
    const inOrder = (at: number) => addresses[(turn + at) % addresses.length] ?? ''
    if (tried.size === 0) this.#next.set(deploymentId, (turn + 1) % addresses.length)
    for (let at = 0; at < addresses.length; at++) if (!tried.has(inOrder(at))) return inOrder(at)
    return inOrder(0)
  }

  /** Forgets deployments that get no more requests. */
  keepOnly(deploymentIds: ReadonlySet<string>): void {
    for (const id of this.#next.keys()) if (!deploymentIds.has(id)) this.#next.delete(id)
  }
}
