import type { DeploymentPosition } from '../../src/entities/runtime-log-viewer.js'
import type { ReadingOutbox } from '../../src/engine/runtime-logs/container-reading.js'

/** Keeps the lines that are read of one deployment, from its first on, without what fills them up. */
export class ReadingLines implements ReadingOutbox {
  readonly lines: string[] = []
  readonly places: readonly DeploymentPosition[]

  constructor(deploymentId: string) {
    this.places = [{ deploymentId, from: null, shown: {} }]
  }

  add({ text }: { readonly text: string }): void {
    this.lines.push(text.trim())
  }

  advance(): void {
    // Nobody goes on from here.
  }

  untilRoom(): Promise<void> {
    return Promise.resolve()
  }
}
