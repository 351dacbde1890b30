import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import { Stage } from './stage.js'

/** A host of the user's that a stage answers on. */
@Entity({ name: 'domain' })
export class Domain {
  /** Lower case, ASCII (IDNA). */
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'domain_pkey' })
  host!: string

  @Index('domain_stage_id')
  @Column({ type: 'text', name: 'stage_id' })
  stageId!: string

  @ManyToOne(() => Stage, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'stage_id', foreignKeyConstraintName: 'domain_stage_id_fkey' })
  stage!: Relation<Stage>

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date
}
