import { Column, Entity, JoinColumn, OneToOne, PrimaryColumn, type Relation } from 'typeorm'
import type { DeploymentTrigger } from './deployment-status.js'
import { Stage } from './stage.js'

/** A push that a worker fetches and compares with what serves, before it is deployed or not. The newest of its stage. */
@Entity({ name: 'push_comparison' })
export class PushComparison {
  @PrimaryColumn({ type: 'text', name: 'stage_id', primaryKeyConstraintName: 'push_comparison_pkey' })
  stageId!: string

  @OneToOne(() => Stage, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'stage_id', foreignKeyConstraintName: 'push_comparison_stage_id_fkey' })
  stage!: Relation<Stage>

  /** Another one for each push. */
  @Column({ type: 'text' })
  id!: string

  /** `refs/heads/main` */
  @Column({ type: 'text' })
  ref!: string

  @Column({ type: 'text' })
  sha!: string

  /** Of the commit. Null: nobody has said it yet. */
  @Column({ type: 'text', nullable: true })
  message!: string | null

  @Column({ type: 'text' })
  trigger!: DeploymentTrigger

  @Column({ type: 'text' })
  actor!: string

  /** The delivery that is told what came of it. Null: there was none. */
  @Column({ type: 'text', name: 'delivery_id', nullable: true })
  deliveryId!: string | null

  @Column({ type: 'integer', default: 0 })
  attempts!: number

  /** No worker takes it before: one is at it, or the forge did not answer. */
  @Column({ type: 'timestamptz', name: 'next_at', default: () => 'now()' })
  nextAt!: Date

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'clock_timestamp()' })
  createdAt!: Date
}
