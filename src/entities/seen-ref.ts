import { Column, Entity, JoinColumn, OneToOne, PrimaryColumn, type Relation } from 'typeorm'
import { Stage } from './stage.js'

/** The commit at which a stage's branch was seen last, by a push or a lookup, whatever became of it. */
@Entity({ name: 'seen_ref' })
export class SeenRef {
  @PrimaryColumn({ type: 'text', name: 'stage_id', primaryKeyConstraintName: 'seen_ref_pkey' })
  stageId!: string

  @OneToOne(() => Stage, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'stage_id', foreignKeyConstraintName: 'seen_ref_stage_id_fkey' })
  stage!: Relation<Stage>

  /** `refs/heads/main`: of another branch nothing was seen yet. */
  @Column({ type: 'text' })
  ref!: string

  @Column({ type: 'text' })
  sha!: string

  @Column({ type: 'timestamptz', name: 'seen_at', default: () => 'clock_timestamp()' })
  seenAt!: Date
}
