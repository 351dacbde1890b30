import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import type { DeploymentStatus, LogStream } from './deployment-status.js'
import { DeploymentLog } from './deployment-log.js'

/** One or more whole lines of a deployment's log. */
@Entity({ name: 'log_chunk' })
export class LogChunk {
  @PrimaryColumn({ type: 'text', name: 'deployment_id', primaryKeyConstraintName: 'log_chunk_pkey' })
  deploymentId!: string

  @ManyToOne(() => DeploymentLog, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'deployment_id', foreignKeyConstraintName: 'log_chunk_deployment_id_fkey' })
  log!: Relation<DeploymentLog>

  @PrimaryColumn({ type: 'integer', primaryKeyConstraintName: 'log_chunk_pkey' })
  seq!: number

  /** The day its log began: by this the table is cut into partitions, so all chunks of a log are in one. */
  @PrimaryColumn({ type: 'date', name: 'log_day', primaryKeyConstraintName: 'log_chunk_pkey' })
  logDay!: string

  @Column({ type: 'timestamptz' })
  at!: Date

  @Column({ type: 'text' })
  phase!: DeploymentStatus

  @Column({ type: 'text' })
  stream!: LogStream

  @Column({ type: 'text' })
  text!: string
}
