import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import type { LogStream } from './deployment-status.js'
import { type DeploymentPosition, RuntimeLogViewer } from './runtime-log-viewer.js'

/** One or more whole lines on their way to one viewer. Unlogged, and removed once they have been read. */
@Entity({ name: 'runtime_log_chunk' })
export class RuntimeLogChunk {
  @PrimaryColumn({ type: 'text', name: 'viewer_id', primaryKeyConstraintName: 'runtime_log_chunk_pkey' })
  viewerId!: string

  @ManyToOne(() => RuntimeLogViewer, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'viewer_id', foreignKeyConstraintName: 'runtime_log_chunk_viewer_id_fkey' })
  viewer!: Relation<RuntimeLogViewer>

  @PrimaryColumn({ type: 'integer', primaryKeyConstraintName: 'runtime_log_chunk_pkey' })
  seq!: number

  @Column({ type: 'text', name: 'deployment_id' })
  deploymentId!: string

  @Column({ type: 'timestamptz' })
  at!: Date

  @Column({ type: 'text' })
  stream!: LogStream

  @Column({ type: 'text' })
  text!: string

  /** Where the viewer stands with it: it goes on there after a lost connection. */
  @Column({ type: 'jsonb', default: () => `'[]'` })
  places!: readonly DeploymentPosition[]
}
