import type { App } from '../../entities/app.js'
import type { Configuration } from '../../entities/configuration.js'
import type { Deployment } from '../../entities/deployment.js'
import type { Stage } from '../../entities/stage.js'
import type { LogWriter } from '../logs/writer.js'
import type { Claim } from '../queue/states.js'

/** One run of a claimed deployment, with all that belongs to it. */
export interface DeploymentRun {
  readonly claim: Claim
  readonly deployment: Deployment
  readonly app: App
  readonly stage: Stage
  /** What it runs with, as it was when its work began. */
  readonly configuration: Configuration
  /** Its container's variables, decrypted. */
  readonly variables: ReadonlyMap<string, string>
  /** What only its build may know, by key. */
  readonly buildSecrets: ReadonlyMap<string, string>
  readonly log: LogWriter
  /** Aborts when it has to end: cancelled, superseded, its claim lost, or the process stops. The reason says which. */
  readonly signal: AbortSignal
  /** An undo has failed. What it was to remove is removed later. */
  readonly onUndoError: (error: unknown) => void
  /** Goes on with `work` when the run has ended; its signal aborts when the process stops. */
  readonly inBackground: (work: (stopping: AbortSignal) => Promise<void>) => void
}
