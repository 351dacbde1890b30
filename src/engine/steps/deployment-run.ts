import type { DataSource } from 'typeorm'
import type { BaseImages, BuilderChoice, RouterChoice } from '../../config.js'
import type { App } from '../../entities/app.js'
import type { Configuration } from '../../entities/configuration.js'
import type { Deployment } from '../../entities/deployment.js'
import type { Stage } from '../../entities/stage.js'
import type { Docker } from '../docker/docker.js'
import type { Git } from '../git/git.js'
import type { LogWriter } from '../logs/writer.js'
import type { Router } from '../routing/router.js'
import type { Claim } from '../states.js'
import type { Wakeups } from '../wakeups/wakeups.js'

/** What the engine works with: adapters, settings and the hook of the fault suite. */
export interface Services {
  readonly database: DataSource
  readonly wakeups: Wakeups
  readonly git: Git
  readonly docker: Docker
  readonly router: Router
  /** Called before and after each step; the fault suite makes a process die there. */
  readonly failpoint: (point: string) => void
  readonly settings: {
    readonly dataDir: string
    readonly baseDomain: string
    readonly router: RouterChoice
    readonly publicPort: number
    readonly imagePrefix: string
    readonly instanceId: string
    readonly builder: BuilderChoice
    readonly baseImages: BaseImages
    readonly buildTimeoutMs: number
    readonly buildCacheBytes: number
    readonly drainMs: number
    readonly watchMs: number
    readonly confirmMs: number
    readonly leaseMs: number
    readonly maxContextBytes: number
    readonly maxContextFiles: number
    readonly minFreeDiskBytes: number
    readonly keepReleases: number
    readonly logRetentionDays: number
    readonly allowFileRepos: boolean
  }
}

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
}

/** Does a step between its two failpoints: `before:name` and `after:name`. */
export async function step<T>(
  services: Pick<Services, 'failpoint'>,
  name: string,
  work: () => Promise<T>,
): Promise<T> {
  services.failpoint(`before:${name}`)
  const result = await work()
  services.failpoint(`after:${name}`)
  return result
}
