import { Column, Entity, JoinColumn, OneToOne, PrimaryColumn, type Relation } from 'typeorm'
import { App } from './app.js'

/** When an app's repository was asked for its branches, and is to be asked again. No row: not yet. */
@Entity({ name: 'repository_lookup' })
export class RepositoryLookup {
  @PrimaryColumn({ type: 'text', name: 'app_id', primaryKeyConstraintName: 'repository_lookup_pkey' })
  appId!: string

  @OneToOne(() => App, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'app_id', foreignKeyConstraintName: 'repository_lookup_app_id_fkey' })
  app!: Relation<App>

  @Column({ type: 'timestamptz', name: 'looked_up_at', nullable: true })
  lookedUpAt!: Date | null

  /** Somebody wants it looked up then, whatever RECONCILE_MINUTES says. */
  @Column({ type: 'timestamptz', name: 'due_at', nullable: true })
  dueAt!: Date | null

  /** Why the last lookup failed: so that it is logged once. */
  @Column({ type: 'text', nullable: true })
  error!: string | null
}
