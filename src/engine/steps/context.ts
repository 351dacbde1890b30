import type { DataSource } from 'typeorm'
import type { App } from '../../entities/app.js'
import type { Deployment } from '../../entities/deployment.js'
import type { Stage } from '../../entities/stage.js'
import type { Docker } from '../docker/docker.js'
import type { Git } from '../git/git.js'
import type { LogWriter } from '../logs/writer.js'
import type { Claim } from '../states.js'
import type { Wakeups } from '../wakeups.js'

/** What the steps need of the world. */
export interface Tools {
  readonly database: DataSource
  readonly wakeups: Wakeups
  readonly git: Git
  readonly docker: Docker
  /** Makes the router of this process, if it has one, follow the database now. */
  readonly applyRoutes: () => Promise<void>
  /** Requests that this process's router has under way for a deployment. */
  readonly inFlight: (deploymentId: string) => number
  readonly settings: {
    readonly baseDomain: string
    readonly publicPort: number
    readonly imagePrefix: string
    readonly instanceId: string
    readonly buildTimeoutMs: number
    readonly buildCacheBytes: number
    readonly drainMs: number
    readonly allowFileRepos: boolean
  }
}

/** One claimed deployment with all that belongs to it. */
export interface Work {
  readonly claim: Claim
  readonly deployment: Deployment
  readonly app: App
  readonly stage: Stage
  /** Decrypted variables of the stage. */
  readonly variables: ReadonlyMap<string, string>
  readonly log: LogWriter
}
