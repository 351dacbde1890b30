import {
  Check,
  Column,
  Entity,
  Generated,
  Index,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  type Relation,
} from 'typeorm'
import { App } from './app.js'
import { bigintAsNumber } from './bigint.js'
import type { Configuration } from './configuration.js'
import type { DeploymentErrorCode } from './deployment-error-code.js'
import { DeploymentStatus, type DeploymentTrigger, IN_FLIGHT_STATUSES } from './deployment-status.js'
import { Stage } from './stage.js'

/** One attempt to bring a commit to a stage. The table is also the queue. */
@Entity({ name: 'deployment' })
@Check(
  'deployment_status_check',
  `"status" IN (${Object.values(DeploymentStatus)
    .map((s) => `'${s}'`)
    .join(', ')})`,
)
@Index('deployment_one_in_flight', ['stageId'], {
  unique: true,
  where: `"status" IN (${IN_FLIGHT_STATUSES.map((s) => `'${s}'`).join(', ')})`,
})
@Index('deployment_one_running', ['stageId'], { unique: true, where: `"status" = 'RUNNING'` })
@Index('deployment_pending', ['stageId', 'generation'], { where: `"status" = 'PENDING'` })
@Index('deployment_idempotency_key', ['appId', 'idempotencyKey'], {
  unique: true,
  where: '"idempotency_key" IS NOT NULL',
})
@Index('deployment_app_generation', ['appId', 'generation'])
@Index('deployment_build_key', ['appId', 'buildKey'], { where: '"build_key" IS NOT NULL' })
@Index('deployment_watched', ['watchUntil'], { where: '"watch_until" IS NOT NULL' })
@Index('deployment_unannounced', ['stageId'], { where: '"shown_as" IS NOT NULL' })
@Index('deployment_addressed', ['stageId'], { where: '"addresses" IS NOT NULL' })
export class Deployment {
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'deployment_pkey' })
  id!: string

  /** Rises over all deployments: the order in which they were asked for. */
  @Column({ type: 'bigint', transformer: bigintAsNumber })
  @Generated('increment')
  generation!: number

  @Column({ type: 'text', name: 'app_id' })
  appId!: string

  @ManyToOne(() => App, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'app_id', foreignKeyConstraintName: 'deployment_app_id_fkey' })
  app!: Relation<App>

  @Column({ type: 'text', name: 'stage_id' })
  stageId!: string

  @ManyToOne(() => Stage, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'stage_id', foreignKeyConstraintName: 'deployment_stage_id_fkey' })
  stage!: Relation<Stage>

  @Column({ type: 'text', default: DeploymentStatus.PENDING })
  status!: DeploymentStatus

  /** What it is shown as until the routers have followed the switch that changed it; null: as what it is. */
  @Column({ type: 'text', name: 'shown_as', nullable: true })
  shownAs!: DeploymentStatus | null

  /** What is said of the change then. */
  @Column({ type: 'text', nullable: true })
  announcement!: string | null

  @Column({ type: 'text' })
  trigger!: DeploymentTrigger

  @Column({ type: 'text', nullable: true })
  ref!: string | null

  @Column({ type: 'boolean', name: 'no_cache', default: false })
  noCache!: boolean

  @Column({ type: 'text', name: 'idempotency_key', nullable: true })
  idempotencyKey!: string | null

  @Column({ type: 'text', name: 'commit_sha', nullable: true })
  commitSha!: string | null

  @Column({ type: 'text', name: 'commit_message', nullable: true })
  commitMessage!: string | null

  /** What is odd but runs, one sentence each. */
  @Column({ type: 'text', array: true, default: '{}' })
  warnings!: string[]

  @Column({ type: 'text', name: 'image_id', nullable: true })
  imageId!: string | null

  /** What its image was built of (engine/configuration/build-key.ts); null: it was not built, or is not yet. */
  @Column({ type: 'text', name: 'build_key', nullable: true })
  buildKey!: string | null

  @Column({ type: 'text', nullable: true })
  image!: string | null

  @Column({ type: 'text', nullable: true })
  container!: string | null

  /** Where its containers answer, one for each replica, while they run: the router's truth. */
  @Column({ type: 'text', array: true, nullable: true })
  addresses!: string[] | null

  /** RETIRED, ROLLED_BACK: its containers may answer what is under way until then, and go afterwards. */
  @Column({ type: 'timestamptz', name: 'drain_until', nullable: true })
  drainUntil!: Date | null

  @Column({ type: 'integer', nullable: true })
  port!: number | null

  /** Rises with each claim and each loss of one: a write that carries an older one changes nothing. */
  @Column({ type: 'integer', default: 0 })
  epoch!: number

  @Column({ type: 'text', name: 'lease_owner', nullable: true })
  leaseOwner!: string | null

  @Column({ type: 'timestamptz', name: 'lease_until', nullable: true })
  leaseUntil!: Date | null

  @Column({ type: 'integer', default: 0 })
  attempt!: number

  @Column({ type: 'timestamptz', name: 'next_run_at', default: () => 'now()' })
  nextRunAt!: Date

  @Column({ type: 'timestamptz', name: 'cancel_requested_at', nullable: true })
  cancelRequestedAt!: Date | null

  /** The newer deployment of its stage that takes its place; asked of its worker while it clones or builds. */
  @Column({ type: 'text', name: 'superseded_by', nullable: true })
  supersededBy!: string | null

  /** What it runs with; set when its work begins. */
  @Column({ type: 'jsonb', nullable: true })
  configuration!: Configuration | null

  /** What served the stage before it; what an automatic rollback goes back to if it fails while it is watched. */
  /** Who asked for it. Null: nobody did, as for the rebuild of an image that was lost. */
  @Column({ type: 'text', nullable: true })
  actor!: string | null

  /** What it is a rollback to or a promotion of. */
  @Column({ type: 'text', name: 'source_id', nullable: true })
  sourceId!: string | null

  @Column({ type: 'text', name: 'replaced_id', nullable: true })
  replacedId!: string | null

  /** RUNNING: until then it is watched, and what served before is kept. */
  @Column({ type: 'timestamptz', name: 'watch_until', nullable: true })
  watchUntil!: Date | null

  /** Why it waits although a place is free; said once in its log. */
  @Column({ type: 'text', name: 'waiting_for', nullable: true })
  waitingFor!: string | null

  @Column({ type: 'text', name: 'error_code', nullable: true })
  errorCode!: DeploymentErrorCode | null

  @Column({ type: 'text', name: 'error_phase', nullable: true })
  errorPhase!: DeploymentStatus | null

  @Column({ type: 'text', name: 'error_message', nullable: true })
  errorMessage!: string | null

  @Column({ type: 'integer', name: 'error_exit_code', nullable: true })
  errorExitCode!: number | null

  @Column({ type: 'text', name: 'error_last_lines', array: true, nullable: true })
  errorLastLines!: string[] | null

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date

  @Column({ type: 'timestamptz', name: 'started_at', nullable: true })
  startedAt!: Date | null

  @Column({ type: 'timestamptz', name: 'live_at', nullable: true })
  liveAt!: Date | null

  @Column({ type: 'timestamptz', name: 'finished_at', nullable: true })
  finishedAt!: Date | null
}
