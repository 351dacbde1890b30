import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import { App } from './app.js'
import type { DeploymentErrorCode } from './deployment-error-code.js'
import type { Forge } from './webhook-delivery.js'

/** What a repository has to be deployed: branches and tags, by name. */
export interface ListedRefs {
  /** Null: HEAD names no branch that is there. */
  readonly defaultBranch: string | null
  readonly branches: readonly string[]
  readonly tags: readonly string[]
}

/** What a worker says to a request. */
export type RefsAnswer =
  | { readonly refs: ListedRefs }
  | { readonly installed: true }
  | { readonly error: { readonly code: DeploymentErrorCode | 'FORGE_ERROR'; readonly message: string } }

/** Where a worker is to create an app's webhook. */
export interface RequestedHook {
  readonly forge: Forge
  readonly apiUrl: string
  /** owner/name */
  readonly repository: string
  /** The webhook's own. */
  readonly url: string
}

/** A question of the API to a worker: which refs does this repository have? Or, with `hook`: create the app's webhook there. */
@Entity({ name: 'refs_request' })
export class RefsRequest {
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'refs_request_pkey' })
  id!: string

  @Column({ type: 'text', name: 'repo_url' })
  repoUrl!: string

  /** Whose credential it is asked with. Null: as anybody. */
  @Index('refs_request_app_id')
  @Column({ type: 'text', name: 'app_id', nullable: true })
  appId!: string | null

  @ManyToOne(() => App, { onDelete: 'CASCADE', nullable: true })
  @JoinColumn({ name: 'app_id', foreignKeyConstraintName: 'refs_request_app_id_fkey' })
  app!: Relation<App> | null

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date

  /** Nobody waits any more by then: any worker removes the row. */
  @Column({ type: 'timestamptz', name: 'expires_at' })
  expiresAt!: Date

  /** The worker that asks the repository. One that dies over it is not replaced: whoever waits asks again. */
  @Column({ type: 'text', name: 'claimed_by', nullable: true })
  claimedBy!: string | null

  @Column({ type: 'jsonb', nullable: true })
  hook!: RequestedHook | null

  @Column({ type: 'jsonb', nullable: true })
  answer!: RefsAnswer | null
}
