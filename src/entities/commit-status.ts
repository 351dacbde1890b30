import { Column, Entity, JoinColumn, OneToOne, PrimaryColumn, type Relation } from 'typeorm'
import { App } from './app.js'
import { Deployment } from './deployment.js'
import type { Forge } from './webhook-delivery.js'

/** Where the forge of an app is told how its commits are deployed. No row: nobody is told. */
@Entity({ name: 'commit_status_target' })
export class CommitStatusTarget {
  @PrimaryColumn({ type: 'text', name: 'app_id', primaryKeyConstraintName: 'commit_status_target_pkey' })
  appId!: string

  @OneToOne(() => App, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'app_id', foreignKeyConstraintName: 'commit_status_target_app_id_fkey' })
  app!: Relation<App>

  @Column({ type: 'text' })
  forge!: Forge

  /** Without a slash at the end. */
  @Column({ type: 'text', name: 'api_url' })
  apiUrl!: string

  /** owner/name */
  @Column({ type: 'text' })
  repository!: string

  @Column({ type: 'text', name: 'token_encrypted' })
  tokenEncrypted!: string

  /** Tells whether two tokens are equal without telling either. */
  @Column({ type: 'text' })
  fingerprint!: string

  /** Why nothing is reported any more until it is set again: the app's repository is another one. Null: it is reported. */
  @Column({ type: 'text', name: 'stale_reason', nullable: true })
  staleReason!: string | null

  @Column({ type: 'timestamptz', name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date
}

/** What the forge has been told of a deployment, and what it is to be told. */
@Entity({ name: 'commit_status_report' })
export class CommitStatusReport {
  @PrimaryColumn({
    type: 'text',
    name: 'deployment_id',
    primaryKeyConstraintName: 'commit_status_report_pkey',
  })
  deploymentId!: string

  @OneToOne(() => Deployment, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({
    name: 'deployment_id',
    foreignKeyConstraintName: 'commit_status_report_deployment_id_fkey',
  })
  deployment!: Relation<Deployment>

  @Column({ type: 'text' })
  wanted!: string

  @Column({ type: 'text', nullable: true })
  reported!: string | null

  /** Of telling what is wanted now. */
  @Column({ type: 'integer', default: 0 })
  attempts!: number

  /** Nobody tells it before: a worker is at it, or the forge did not answer. */
  @Column({ type: 'timestamptz', name: 'next_at', default: () => 'now()' })
  nextAt!: Date

  @Column({ type: 'text', nullable: true })
  error!: string | null
}
