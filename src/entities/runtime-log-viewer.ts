import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import { Stage } from './stage.js'

/** How far one stream of a container has been shown: up to `seen` of the messages of the instant `at`. */
export interface StreamPosition {
  /** RFC 3339 in UTC with nine digits. */
  readonly at: string
  readonly seen: number
}

/** How far a deployment has been shown. */
export interface DeploymentPosition {
  readonly deploymentId: string
  /** Where each stream of its containers begins; null: with its first line. */
  readonly from: string | null
  /** By container and stream, as `name/STDOUT`. */
  readonly shown: Readonly<Record<string, StreamPosition>>
}

/** Somebody who reads what a stage's containers write. Unlogged: it does not outlive a crash of the database. */
@Entity({ name: 'runtime_log_viewer' })
export class RuntimeLogViewer {
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'runtime_log_viewer_pkey' })
  id!: string

  @Index('runtime_log_viewer_stage_id')
  @Column({ type: 'text', name: 'stage_id' })
  stageId!: string

  @ManyToOne(() => Stage, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'stage_id', foreignKeyConstraintName: 'runtime_log_viewer_stage_id_fkey' })
  stage!: Relation<Stage>

  /** So many of the last lines are shown first. */
  @Column({ type: 'integer' })
  tail!: number

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date

  /** Renewed by the API process while somebody reads; then the row is removed by any worker. */
  @Column({ type: 'timestamptz', name: 'expires_at' })
  expiresAt!: Date

  /** The worker that reads for it, until `leaseUntil`. */
  @Column({ type: 'text', name: 'lease_owner', nullable: true })
  leaseOwner!: string | null

  @Column({ type: 'timestamptz', name: 'lease_until', nullable: true })
  leaseUntil!: Date | null

  /** Rises with each claim: a worker that writes with an older one changes nothing. */
  @Column({ type: 'integer', default: 0 })
  epoch!: number

  /** The last chunk that was stored. */
  @Column({ type: 'integer', name: 'last_seq', default: 0 })
  lastSeq!: number

  /** The last chunk that has left the API process; those up to it are gone. */
  @Column({ type: 'integer', name: 'read_seq', default: 0 })
  readSeq!: number

  /**
   * Changes together with `lastSeq`. The last one is of the deployment that is shown, those before it are of some to
   * which traffic may go back; empty: the stage had none yet; null: nobody has begun.
   */
  @Column({ type: 'jsonb', nullable: true })
  places!: readonly DeploymentPosition[] | null

  /** It is shown what was written up to here and no more. Null: it follows the stage. */
  @Column({ type: 'jsonb', nullable: true })
  until!: DeploymentPosition | null

  /** All up to `until` is stored. */
  @Column({ type: 'boolean', name: 'has_ended', default: false })
  hasEnded!: boolean
}
