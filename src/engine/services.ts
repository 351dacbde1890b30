import type { DataSource } from 'typeorm'
import type { BaseImages, BuilderChoice, RouterChoice } from '../config.js'
import type { Logger } from '../logger.js'
import type { Docker } from './docker/docker.js'
import type { Git } from './git/git.js'
import type { Router } from './routing/router.js'
import type { SecretBox } from './secrets/secrets.js'
import type { Wakeups } from './wakeups/wakeups.js'

/** What the engine works with: adapters, settings and the hook of the fault suite. */
export interface Services {
  readonly database: DataSource
  readonly wakeups: Wakeups
  readonly git: Git
  readonly docker: Docker
  readonly router: Router
  readonly secrets: SecretBox
  readonly logger: Logger
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
    readonly fetchRetryMs: number
    readonly maxMirrorBytes: number
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
