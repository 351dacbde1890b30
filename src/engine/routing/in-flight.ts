/** Counts what is under way for each deployment. */
export class InFlight {
  readonly #counts = new Map<string, number>()

  count(deploymentId: string): number {
    return this.#counts.get(deploymentId) ?? 0
  }

  /** Returns what ends it; a second call does nothing. */
  enter(deploymentId: string): () => void {
    this.#counts.set(deploymentId, this.count(deploymentId) + 1)
    let inside = true
    return () => {
      if (!inside) return
      inside = false
      const left = this.count(deploymentId) - 1
      if (left > 0) this.#counts.set(deploymentId, left)
      else this.#counts.delete(deploymentId)
    }
  }
}
