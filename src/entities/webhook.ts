import { Column, Entity, JoinColumn, OneToOne, PrimaryColumn, type Relation } from 'typeorm'
import { App } from './app.js'

/** The secret by which a forge's deliveries for an app are known to be genuine. No row: the app takes none. */
@Entity({ name: 'webhook' })
export class Webhook {
  @PrimaryColumn({ type: 'text', name: 'app_id', primaryKeyConstraintName: 'webhook_pkey' })
  appId!: string

  @OneToOne(() => App, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'app_id', foreignKeyConstraintName: 'webhook_app_id_fkey' })
  app!: Relation<App>

  @Column({ type: 'text', name: 'secret_encrypted' })
  secretEncrypted!: string

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date

  @Column({ type: 'timestamptz', name: 'rotated_at', default: () => 'now()' })
  rotatedAt!: Date
}
