import { Column, Entity, JoinColumn, OneToOne, PrimaryColumn, type Relation } from 'typeorm'
import { bigintAsNumber } from './bigint.js'
import type { DeploymentStatus } from './deployment-status.js'
import { Deployment } from './deployment.js'

/**
 * The head of a deployment's log: it allocates `seq`, under the epoch of the claim. A narrow table (`log_stream`) of its own, so
 * that log writes and status writes do not wait for each other.
 */
@Entity({ name: 'log_stream' })
export class DeploymentLog {
  @PrimaryColumn({ type: 'text', name: 'deployment_id', primaryKeyConstraintName: 'log_stream_pkey' })
  deploymentId!: string

  @OneToOne(() => Deployment, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'deployment_id', foreignKeyConstraintName: 'log_stream_deployment_id_fkey' })
  deployment!: Relation<Deployment>

  @Column({ type: 'integer', default: 0 })
  epoch!: number

  @Column({ type: 'integer', name: 'last_seq', default: 0 })
  lastSeq!: number

  @Column({ type: 'bigint', default: 0, transformer: bigintAsNumber })
  bytes!: number

  @Column({ type: 'bigint', name: 'omitted_bytes', default: 0, transformer: bigintAsNumber })
  omittedBytes!: number

  /** The engine that built left lines out. */
  @Column({ type: 'boolean', default: false })
  clipped!: boolean

  /** The day it began. */
  @Column({ type: 'date', name: 'log_day', default: () => `('now'::text)::date` })
  logDay!: string

  /** Set together with the last chunk: nothing follows. */
  @Column({ type: 'text', name: 'end_status', nullable: true })
  endStatus!: DeploymentStatus | null
}
