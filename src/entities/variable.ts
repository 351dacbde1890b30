import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import { Stage } from './stage.js'

/** An environment variable of a stage. The value is encrypted; see `engine/secrets/secrets.ts`. */
@Entity({ name: 'variable' })
export class Variable {
  @PrimaryColumn({ type: 'text', name: 'stage_id', primaryKeyConstraintName: 'variable_pkey' })
  stageId!: string

  @ManyToOne(() => Stage, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'stage_id', foreignKeyConstraintName: 'variable_stage_id_fkey' })
  stage!: Relation<Stage>

  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'variable_pkey' })
  key!: string

  @Column({ type: 'text', name: 'value_encrypted' })
  valueEncrypted!: string

  /** Tells whether two values are equal without telling either. */
  @Column({ type: 'text' })
  fingerprint!: string

  /** For builds alone: the container does not get it. */
  @Column({ type: 'boolean', name: 'build_secret', default: false })
  buildSecret!: boolean

  @Column({ type: 'timestamptz', name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date
}
