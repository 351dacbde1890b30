import type { DataSource } from 'typeorm'
import type { SecretBox } from '../secrets/secrets.js'
import type { Wakeups } from '../wakeups/wakeups.js'

/** What commands depend on. */
export interface CommandDependencies {
  readonly database: DataSource
  readonly wakeups: Wakeups
  readonly secrets: SecretBox
  readonly settings: {
    readonly allowFileRepos: boolean
    readonly allowInsecureForges: boolean
    readonly drainMs: number
    readonly baseDomain: string
    readonly publicUrl: string
  }
}
