import { Column, Entity, JoinColumn, OneToOne, PrimaryColumn, type Relation } from 'typeorm'
import { App } from './app.js'

export enum RepositoryCredentialKind {
  TOKEN = 'TOKEN',
  DEPLOY_KEY = 'DEPLOY_KEY',
}

/** What an app's private repository is fetched with. No row: it is fetched as anybody. */
@Entity({ name: 'repository_credential' })
export class StoredRepositoryCredential {
  @PrimaryColumn({ type: 'text', name: 'app_id', primaryKeyConstraintName: 'repository_credential_pkey' })
  appId!: string

  @OneToOne(() => App, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'app_id', foreignKeyConstraintName: 'repository_credential_app_id_fkey' })
  app!: Relation<App>

  @Column({ type: 'text' })
  kind!: RepositoryCredentialKind

  /** Protocol, host and port that it was given for: it goes to no other. */
  @Column({ type: 'text' })
  origin!: string

  @Column({ type: 'text', nullable: true })
  username!: string | null

  /** Of a DEPLOY_KEY. */
  @Column({ type: 'text', name: 'public_key', nullable: true })
  publicKey!: string | null

  /** The token or the private key. Not read unless it is asked for, so that nothing shows it by accident. */
  @Column({ type: 'text', name: 'secret_encrypted', select: false })
  secretEncrypted!: string

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date

  @Column({ type: 'timestamptz', name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date
}
