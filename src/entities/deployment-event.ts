import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm'
import { bigintAsNumber } from './bigint.js'
import type { DeploymentStatus } from './deployment-status.js'
import { Deployment } from './deployment.js'

/** A change of a deployment's status, written in the transaction that made it. */
@Entity({ name: 'deployment_event' })
@Index('deployment_event_deployment_id', ['deploymentId', 'id'])
export class DeploymentEvent {
  @PrimaryGeneratedColumn({ type: 'bigint', primaryKeyConstraintName: 'deployment_event_pkey' })
  id!: string

  @Column({ type: 'text', name: 'deployment_id' })
  deploymentId!: string

  @ManyToOne(() => Deployment, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'deployment_id', foreignKeyConstraintName: 'deployment_event_deployment_id_fkey' })
  deployment!: Relation<Deployment>

  @Column({ type: 'timestamptz', default: () => 'clock_timestamp()' })
  at!: Date

  @Column({ type: 'integer', default: 0, transformer: bigintAsNumber })
  epoch!: number

  @Column({ type: 'text', name: 'from_status', nullable: true })
  from!: DeploymentStatus | null

  @Column({ type: 'text', name: 'to_status' })
  to!: DeploymentStatus

  @Column({ type: 'text', nullable: true })
  reason!: string | null
}
