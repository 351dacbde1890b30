import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation, Unique } from 'typeorm'
import { App } from './app.js'
import { bigintAsNumber } from './bigint.js'

/** A place where an app serves: `production`, and others beside it. */
@Entity({ name: 'stage' })
@Unique('stage_app_id_name_key', ['appId', 'name'])
@Index('stage_unconfirmed', ['confirmUntil'], { where: '"confirm_until" IS NOT NULL' })
export class Stage {
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'stage_pkey' })
  id!: string

  @Column({ type: 'text', name: 'app_id' })
  appId!: string

  @ManyToOne(() => App, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'app_id', foreignKeyConstraintName: 'stage_app_id_fkey' })
  app!: Relation<App>

  @Column({ type: 'text' })
  name!: string

  @Column({ type: 'text', nullable: true })
  branch!: string | null

  /** A glob: pushed tags that match are deployed, and pushed branches are not. Null: it follows its branch. */
  @Column({ type: 'text', nullable: true })
  tags!: string | null

  /** The deployment that traffic goes to. Changed only together with `routeEpoch`. */
  @Column({ type: 'text', name: 'current_deployment_id', nullable: true })
  currentDeploymentId!: string | null

  /** Rises with each switch of traffic; a router never goes back to a lower one. */
  @Column({ type: 'bigint', name: 'route_epoch', default: 0, transformer: bigintAsNumber })
  routeEpoch!: number

  /** Routers are waited for until then, before the last switch is announced; null: there is nothing to announce. */
  @Column({ type: 'timestamptz', name: 'confirm_until', nullable: true })
  confirmUntil!: Date | null

  @Column({ type: 'boolean', name: 'auto_deploy', default: true })
  autoDeploy!: boolean

  /** It stops when the branch that it follows is deleted. */
  @Column({ type: 'boolean', name: 'stop_on_branch_deletion', default: false })
  stopOnBranchDeletion!: boolean

  @Column({ type: 'boolean', default: false })
  stopped!: boolean

  @Column({ type: 'integer', default: 1 })
  replicas!: number

  @Column({ type: 'bigint', name: 'memory_bytes', default: 536870912, transformer: bigintAsNumber })
  memoryBytes!: number

  @Column({ type: 'double precision', default: 1 })
  cpus!: number

  @Column({ type: 'integer', default: 512 })
  pids!: number

  /** What its containers run instead of their image's CMD. Null: the image's. */
  @Column({ type: 'text', array: true, nullable: true })
  command!: string[] | null

  @Column({ type: 'text', name: 'health_path', nullable: true })
  healthPath!: string | null

  @Column({ type: 'integer', name: 'health_interval_seconds', default: 1 })
  healthIntervalSeconds!: number

  @Column({ type: 'integer', name: 'health_timeout_seconds', default: 5 })
  healthTimeoutSeconds!: number

  @Column({ type: 'integer', name: 'health_deadline_seconds', default: 60 })
  healthDeadlineSeconds!: number

  /** Null: 3 when it replaces a serving version, 0 when nothing serves yet. */
  @Column({ type: 'integer', name: 'health_stable_seconds', nullable: true })
  healthStableSeconds!: number | null
}
