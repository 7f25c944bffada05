-- The web app's tables that the workers touch, with their parents, as Prisma creates them (PostgreSQL 15).
--
-- The app's own `prisma db push` owns these tables; the fleet never creates or alters them in a real database. This copy exists
-- for the demo and the tests, which start from an empty server. Names, types, defaults, constraints and indexes are the app's.
-- Of the parent tables (companies, projects, milestones …) only the columns that a row cannot do without are here.
--
-- Two things a writer must know: "id" and "updatedAt" have no default in the database, and every TIMESTAMP(3) is UTC wall time.

CREATE TYPE "AssetType" AS ENUM ('IMAGE', 'VIDEO', 'DOCUMENT', 'MODEL_3D', 'AUDIO', 'DESIGN', 'OTHER');
CREATE TYPE "UploadStatus" AS ENUM ('PENDING', 'UPLOADING', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED');
CREATE TYPE "ProcessingStatus" AS ENUM ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'SKIPPED', 'REVIEWING', 'NEEDS_REVISION');
CREATE TYPE "VariantType" AS ENUM ('THUMBNAIL', 'PREVIEW', 'WEB_OPTIMIZED', 'MOBILE');
CREATE TYPE "AssetActivityType" AS ENUM (
  'ASSET_UPLOADED', 'ASSET_UPDATED', 'ASSET_DOWNLOADED', 'ASSET_VIEWED', 'ASSET_SHARED', 'ASSET_ARCHIVED', 'ASSET_DELETED',
  'SHARE_LINK_REVOKED', 'COLLECTION_CREATED', 'COLLECTION_UPDATED', 'ASSET_ADDED_TO_COLLECTION', 'ASSET_REMOVED_FROM_COLLECTION',
  'ASSET_SUBMITTED_FOR_REVIEW', 'ASSET_APPROVED', 'ASSET_REJECTED', 'CHANGES_REQUESTED'
);
CREATE TYPE "NotificationType" AS ENUM (
  'TASK_ASSIGNED', 'TASK_STATUS_CHANGED', 'TASK_DUE_SOON', 'TASK_COMMENT_ADDED', 'MILESTONE_APPROVED', 'MILESTONE_SIGNED_OFF',
  'MILESTONE_DUE_SOON', 'PROJECT_UPDATED', 'PROJECT_MEMBER_ADDED', 'PROJECT_MEMBER_REMOVED', 'MEETING_SCHEDULED', 'MEETING_UPDATED',
  'ASSET_UPLOADED', 'ASSET_DOWNLOAD_REQUESTED', 'ASSET_DOWNLOAD_APPROVED', 'ASSET_DOWNLOAD_REJECTED', 'PRESENTATION_CREATED',
  'PRESENTATION_UPDATED', 'INVITATION_RECEIVED', 'TRANSLATION_REQUESTED', 'TRANSLATION_ASSIGNED', 'TRANSLATION_COMPLETED',
  'TRANSLATION_OUTDATED', 'TRANSLATION_REVIEW_REQUESTED'
);
CREATE TYPE "Visibility" AS ENUM ('INTERNAL', 'EXTERNAL');
CREATE TYPE "UsageType" AS ENUM ('INTERNAL', 'PUBLIC');
CREATE TYPE "UserRole" AS ENUM (
  'ADMIN', 'MODERATOR', 'CONTENT_CREATOR', 'TRANSLATOR', 'CLIENT', 'ART_DIRECTOR', 'DESIGNER', 'VIDEO_EDITOR', 'DESIGNER_3D',
  'DESIGNER_2D', 'VFX_CGI', 'MOTION_GRAPHICS', 'WEB_DEVELOPER', 'UI_UX_DESIGNER', 'ANIMATOR', 'PROJECT_MANAGER'
);
CREATE TYPE "CompanyType" AS ENUM ('PERSONAL', 'ORGANIZATION');
CREATE TYPE "ProjectStatus" AS ENUM ('DRAFT', 'PLANNING', 'IN_PROGRESS', 'REVIEW', 'COMPLETED', 'ARCHIVED');
CREATE TYPE "TaskStatus" AS ENUM ('CONCEPT', 'IN_PROGRESS', 'IN_REVIEW', 'COMPLETED', 'APPROVED');
CREATE TYPE "Priority" AS ENUM ('LOW', 'MEDIUM', 'HIGH', 'URGENT');
CREATE TYPE "MilestoneStatus" AS ENUM ('PENDING', 'IN_PROGRESS', 'IN_REVIEW', 'COMPLETED', 'DELAYED', 'CANCELLED');
CREATE TYPE "ArticleStatus" AS ENUM ('DRAFT', 'PENDING_REVIEW', 'APPROVED', 'PUBLISHED', 'REJECTED', 'ARCHIVED');
CREATE TYPE "ArticleType" AS ENUM ('BLOG_POST', 'NEWS', 'CASE_STUDY', 'SERVICE_PAGE', 'LANDING_PAGE', 'ANNOUNCEMENT');
CREATE TYPE "PublishScheduleType" AS ENUM ('IMMEDIATE', 'SCHEDULED', 'MANUAL');
CREATE TYPE "TranslationRequestStatus" AS ENUM ('PENDING', 'ASSIGNED', 'IN_PROGRESS', 'COMPLETED', 'CANCELLED');
CREATE TYPE "TranslationPriority" AS ENUM ('LOW', 'MEDIUM', 'HIGH', 'URGENT');
CREATE TYPE "CommentableType" AS ENUM ('PROJECT', 'TASK', 'MILESTONE', 'ASSET', 'UPLOAD');
CREATE TYPE "DownloadRequestStatus" AS ENUM ('PENDING', 'APPROVED', 'REJECTED');
CREATE TYPE "ReviewStatus" AS ENUM ('PENDING', 'APPROVED', 'REJECTED', 'NEEDS_REVISION');
CREATE TYPE "InvitationStatus" AS ENUM ('PENDING', 'ACCEPTED', 'EXPIRED', 'CANCELLED');

CREATE TABLE "User" (
  "id"                    TEXT NOT NULL,
  "email"                 TEXT NOT NULL,
  "name"                  TEXT,
  "password"              TEXT,
  "role"                  "UserRole" NOT NULL DEFAULT 'CONTENT_CREATOR'::"UserRole",
  "emailVerified"         TIMESTAMP(3),
  "image"                 TEXT,
  "avatar"                TEXT,
  "isActive"              BOOLEAN NOT NULL DEFAULT true,
  "lastLogin"             TIMESTAMP(3),
  "additionalPermissions" TEXT[] DEFAULT ARRAY[]::TEXT[],
  "canDownloadDirectly"   BOOLEAN NOT NULL DEFAULT false,
  "bio"                   TEXT,
  "location"              TEXT,
  "socialLinks"           JSONB,
  "createdAt"             TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updatedAt"             TIMESTAMP(3) NOT NULL,
  CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "User_email_key" ON "User" ("email");

CREATE TABLE companies (
  "id"        TEXT NOT NULL,
  "name"      TEXT NOT NULL,
  "createdBy" TEXT NOT NULL,
  "updatedAt" TIMESTAMP(3) NOT NULL,
  "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT companies_pkey PRIMARY KEY ("id"),
  CONSTRAINT "companies_createdBy_fkey" FOREIGN KEY ("createdBy") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

CREATE TABLE projects (
  "id"        TEXT NOT NULL,
  "name"      TEXT NOT NULL,
  "companyId" TEXT NOT NULL,
  "createdBy" TEXT NOT NULL,
  "updatedAt" TIMESTAMP(3) NOT NULL,
  "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT projects_pkey PRIMARY KEY ("id"),
  CONSTRAINT "projects_companyId_fkey" FOREIGN KEY ("companyId") REFERENCES companies ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "projects_createdBy_fkey" FOREIGN KEY ("createdBy") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

CREATE TABLE milestones (
  "id"          TEXT NOT NULL,
  "name"        TEXT NOT NULL,
  "projectId"   TEXT NOT NULL,
  "dueDate"     TIMESTAMP(3) NOT NULL,
  "updatedAt"   TIMESTAMP(3) NOT NULL,
  "signedOffBy" TEXT,
  "approvedBy"  TEXT,
  "createdAt"   TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT milestones_pkey PRIMARY KEY ("id"),
  CONSTRAINT "milestones_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES projects ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "milestones_signedOffBy_fkey" FOREIGN KEY ("signedOffBy") REFERENCES "User" ("id") ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT "milestones_approvedBy_fkey" FOREIGN KEY ("approvedBy") REFERENCES "User" ("id") ON DELETE SET NULL ON UPDATE CASCADE
);

CREATE TABLE tasks (
  "id"          TEXT NOT NULL,
  "name"        TEXT NOT NULL,
  "projectId"   TEXT NOT NULL,
  "updatedAt"   TIMESTAMP(3) NOT NULL,
  "milestoneId" TEXT,
  "createdAt"   TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT tasks_pkey PRIMARY KEY ("id"),
  CONSTRAINT "tasks_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES projects ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "tasks_milestoneId_fkey" FOREIGN KEY ("milestoneId") REFERENCES milestones ("id") ON DELETE SET NULL ON UPDATE CASCADE
);

CREATE TABLE meetings (
  "id"        TEXT NOT NULL,
  "title"     TEXT NOT NULL,
  "startTime" TIMESTAMP(3) NOT NULL,
  "endTime"   TIMESTAMP(3) NOT NULL,
  "updatedAt" TIMESTAMP(3) NOT NULL,
  "projectId" TEXT,
  "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT meetings_pkey PRIMARY KEY ("id"),
  CONSTRAINT "meetings_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES projects ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE TABLE collections (
  "id"          TEXT NOT NULL,
  "name"        TEXT NOT NULL,
  "createdById" TEXT NOT NULL,
  "updatedAt"   TIMESTAMP(3) NOT NULL,
  "createdAt"   TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT collections_pkey PRIMARY KEY ("id"),
  CONSTRAINT "collections_createdById_fkey" FOREIGN KEY ("createdById") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

CREATE TABLE categories (
  "id"        TEXT NOT NULL,
  "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT categories_pkey PRIMARY KEY ("id")
);

CREATE TABLE articles (
  "id"         TEXT NOT NULL,
  "title"      TEXT NOT NULL,
  "slug"       TEXT NOT NULL,
  "content"    TEXT NOT NULL,
  "authorId"   TEXT NOT NULL,
  "locale"     TEXT NOT NULL DEFAULT 'en'::text,
  "updatedAt"  TIMESTAMP(3) NOT NULL,
  "categoryId" TEXT,
  "createdAt"  TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT articles_pkey PRIMARY KEY ("id"),
  CONSTRAINT "articles_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "articles_categoryId_fkey" FOREIGN KEY ("categoryId") REFERENCES categories ("id") ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "articles_locale_slug_key" ON articles ("locale", "slug");

CREATE TABLE translation_requests (
  "id"              TEXT NOT NULL,
  "articleId"       TEXT NOT NULL,
  "requestedLocale" TEXT NOT NULL,
  "requestedById"   TEXT NOT NULL,
  "updatedAt"       TIMESTAMP(3) NOT NULL,
  "assignedToId"    TEXT,
  "translationId"   TEXT,
  "createdAt"       TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT translation_requests_pkey PRIMARY KEY ("id"),
  CONSTRAINT "translation_requests_articleId_fkey" FOREIGN KEY ("articleId") REFERENCES articles ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "translation_requests_requestedById_fkey" FOREIGN KEY ("requestedById") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "translation_requests_assignedToId_fkey" FOREIGN KEY ("assignedToId") REFERENCES "User" ("id") ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "translation_requests_translationId_key" ON translation_requests ("translationId");

CREATE TABLE assets (
  "id"                 TEXT NOT NULL,
  "name"               TEXT NOT NULL,
  "title"              TEXT,
  "description"        TEXT,
  "type"               "AssetType" NOT NULL,
  "fileName"           TEXT NOT NULL,
  "originalName"       TEXT NOT NULL,
  "fileSize"           BIGINT NOT NULL,
  "mimeType"           TEXT NOT NULL,
  "format"             TEXT,
  "checksum"           TEXT,
  "fileKey"            TEXT,
  "thumbnailKey"       TEXT,
  "previewKey"         TEXT,
  "filePath"           TEXT,
  "thumbnailPath"      TEXT,
  "uploadStatus"       "UploadStatus" NOT NULL DEFAULT 'PENDING'::"UploadStatus",
  "processingStatus"   "ProcessingStatus" NOT NULL DEFAULT 'PENDING'::"ProcessingStatus",
  "processingError"    TEXT,
  "category"           TEXT,
  "eventName"          TEXT,
  "company"            TEXT,
  "project"            TEXT,
  "campaign"           TEXT,
  "productionYear"     INTEGER,
  "width"              INTEGER,
  "height"             INTEGER,
  "duration"           INTEGER,
  "visibility"         "Visibility" NOT NULL DEFAULT 'INTERNAL'::"Visibility",
  "usage"              "UsageType" NOT NULL DEFAULT 'INTERNAL'::"UsageType",
  "readyForPublishing" BOOLEAN NOT NULL DEFAULT false,
  "isArchived"         BOOLEAN NOT NULL DEFAULT false,
  "license"            TEXT,
  "copyright"          TEXT,
  "batchId"            TEXT,
  "viewCount"          INTEGER NOT NULL DEFAULT 0,
  "downloadCount"      INTEGER NOT NULL DEFAULT 0,
  "tags"               TEXT[],
  "metadata"           JSONB,
  "uploadedBy"         TEXT NOT NULL,
  "uploadedAt"         TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "createdAt"          TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updatedAt"          TIMESTAMP(3) NOT NULL,
  CONSTRAINT assets_pkey PRIMARY KEY ("id"),
  CONSTRAINT "assets_uploadedBy_fkey" FOREIGN KEY ("uploadedBy") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "assets_fileKey_key" ON assets ("fileKey");
CREATE INDEX "assets_batchId_idx" ON assets ("batchId");
CREATE INDEX "assets_campaign_idx" ON assets ("campaign");
CREATE INDEX "assets_category_idx" ON assets ("category");
CREATE INDEX "assets_company_idx" ON assets ("company");
CREATE INDEX "assets_eventName_idx" ON assets ("eventName");
CREATE INDEX "assets_fileKey_idx" ON assets ("fileKey");
CREATE INDEX "assets_processingStatus_idx" ON assets ("processingStatus");
CREATE INDEX "assets_project_idx" ON assets ("project");
CREATE INDEX "assets_readyForPublishing_idx" ON assets ("readyForPublishing");
CREATE INDEX "assets_title_idx" ON assets ("title");
CREATE INDEX "assets_type_idx" ON assets ("type");
CREATE INDEX "assets_uploadStatus_idx" ON assets ("uploadStatus");
CREATE INDEX "assets_uploadedAt_idx" ON assets ("uploadedAt");
CREATE INDEX "assets_uploadedBy_idx" ON assets ("uploadedBy");
CREATE INDEX "assets_usage_idx" ON assets ("usage");
CREATE INDEX "assets_visibility_idx" ON assets ("visibility");

CREATE TABLE asset_metadata (
  "id"           TEXT NOT NULL,
  "assetId"      TEXT NOT NULL,
  "colorSpace"   TEXT,
  "dpi"          INTEGER,
  "bitDepth"     INTEGER,
  "frameRate"    DOUBLE PRECISION,
  "bitRate"      INTEGER,
  "codec"        TEXT,
  "camera"       TEXT,
  "lens"         TEXT,
  "iso"          INTEGER,
  "aperture"     DOUBLE PRECISION,
  "shutterSpeed" TEXT,
  "gpsLat"       DOUBLE PRECISION,
  "gpsLng"       DOUBLE PRECISION,
  "customFields" JSONB,
  "createdAt"    TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updatedAt"    TIMESTAMP(3) NOT NULL,
  CONSTRAINT asset_metadata_pkey PRIMARY KEY ("id"),
  CONSTRAINT "asset_metadata_assetId_fkey" FOREIGN KEY ("assetId") REFERENCES assets ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "asset_metadata_assetId_key" ON asset_metadata ("assetId");

CREATE TABLE asset_variants (
  "id"          TEXT NOT NULL,
  "assetId"     TEXT NOT NULL,
  "variantType" "VariantType" NOT NULL,
  "fileKey"     TEXT NOT NULL,
  "url"         TEXT,
  "width"       INTEGER,
  "height"      INTEGER,
  "fileSize"    BIGINT NOT NULL,
  "format"      TEXT NOT NULL,
  "quality"     INTEGER,
  "status"      "ProcessingStatus" NOT NULL DEFAULT 'PENDING'::"ProcessingStatus",
  "error"       TEXT,
  "createdAt"   TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updatedAt"   TIMESTAMP(3) NOT NULL,
  CONSTRAINT asset_variants_pkey PRIMARY KEY ("id"),
  CONSTRAINT "asset_variants_assetId_fkey" FOREIGN KEY ("assetId") REFERENCES assets ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "asset_variants_fileKey_key" ON asset_variants ("fileKey");
CREATE INDEX "asset_variants_assetId_idx" ON asset_variants ("assetId");
CREATE INDEX "asset_variants_status_idx" ON asset_variants ("status");
CREATE INDEX "asset_variants_variantType_idx" ON asset_variants ("variantType");

CREATE TABLE asset_analytics (
  "id"        TEXT NOT NULL,
  "assetId"   TEXT NOT NULL,
  "date"      DATE NOT NULL,
  "views"     INTEGER NOT NULL DEFAULT 0,
  "downloads" INTEGER NOT NULL DEFAULT 0,
  CONSTRAINT asset_analytics_pkey PRIMARY KEY ("id"),
  CONSTRAINT "asset_analytics_assetId_fkey" FOREIGN KEY ("assetId") REFERENCES assets ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "asset_analytics_assetId_date_key" ON asset_analytics ("assetId", "date");
CREATE INDEX "asset_analytics_assetId_idx" ON asset_analytics ("assetId");
CREATE INDEX "asset_analytics_date_idx" ON asset_analytics ("date");

CREATE TABLE asset_activities (
  "id"           TEXT NOT NULL,
  "type"         "AssetActivityType" NOT NULL,
  "description"  TEXT NOT NULL,
  "userId"       TEXT NOT NULL,
  "assetId"      TEXT,
  "collectionId" TEXT,
  "metadata"     JSONB,
  "createdAt"    TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT asset_activities_pkey PRIMARY KEY ("id"),
  CONSTRAINT "asset_activities_assetId_fkey" FOREIGN KEY ("assetId") REFERENCES assets ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "asset_activities_collectionId_fkey" FOREIGN KEY ("collectionId") REFERENCES collections ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "asset_activities_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "asset_activities_createdAt_idx" ON asset_activities ("createdAt");
CREATE INDEX "asset_activities_type_idx" ON asset_activities ("type");
CREATE INDEX "asset_activities_userId_idx" ON asset_activities ("userId");

CREATE TABLE asset_share_links (
  "id"               TEXT NOT NULL,
  "token"            TEXT NOT NULL,
  "assetId"          TEXT NOT NULL,
  "createdById"      TEXT NOT NULL,
  "password"         TEXT,
  "expiresAt"        TIMESTAMP(3),
  "maxDownloads"     INTEGER,
  "currentDownloads" INTEGER NOT NULL DEFAULT 0,
  "allowDownload"    BOOLEAN NOT NULL DEFAULT true,
  "isActive"         BOOLEAN NOT NULL DEFAULT true,
  "metadata"         JSONB,
  "createdAt"        TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "lastAccessedAt"   TIMESTAMP(3),
  "viewCount"        INTEGER NOT NULL DEFAULT 0,
  "downloadCount"    INTEGER NOT NULL DEFAULT 0,
  CONSTRAINT asset_share_links_pkey PRIMARY KEY ("id"),
  CONSTRAINT "asset_share_links_assetId_fkey" FOREIGN KEY ("assetId") REFERENCES assets ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "asset_share_links_createdById_fkey" FOREIGN KEY ("createdById") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "asset_share_links_token_key" ON asset_share_links ("token");
CREATE INDEX "asset_share_links_assetId_idx" ON asset_share_links ("assetId");
CREATE INDEX "asset_share_links_createdById_idx" ON asset_share_links ("createdById");
CREATE INDEX "asset_share_links_expiresAt_idx" ON asset_share_links ("expiresAt");
CREATE INDEX "asset_share_links_token_idx" ON asset_share_links ("token");

CREATE TABLE share_link_access (
  "id"          TEXT NOT NULL,
  "shareLinkId" TEXT NOT NULL,
  "accessType"  TEXT NOT NULL,
  "ipAddress"   TEXT,
  "userAgent"   TEXT,
  "country"     TEXT,
  "city"        TEXT,
  "referrer"    TEXT,
  "createdAt"   TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT share_link_access_pkey PRIMARY KEY ("id"),
  CONSTRAINT "share_link_access_shareLinkId_fkey" FOREIGN KEY ("shareLinkId") REFERENCES asset_share_links ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "share_link_access_accessType_idx" ON share_link_access ("accessType");
CREATE INDEX "share_link_access_createdAt_idx" ON share_link_access ("createdAt");
CREATE INDEX "share_link_access_shareLinkId_idx" ON share_link_access ("shareLinkId");

CREATE TABLE asset_downloads (
  "id"      TEXT NOT NULL,
  "assetId" TEXT NOT NULL,
  "userId"  TEXT NOT NULL,
  CONSTRAINT asset_downloads_pkey PRIMARY KEY ("id"),
  CONSTRAINT "asset_downloads_assetId_fkey" FOREIGN KEY ("assetId") REFERENCES assets ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "asset_downloads_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

CREATE TABLE asset_external_links (
  "id"            TEXT NOT NULL,
  "assetId"       TEXT NOT NULL,
  "token"         TEXT NOT NULL,
  "password"      TEXT,
  "expiresAt"     TIMESTAMP(3),
  "maxDownloads"  INTEGER,
  "downloadCount" INTEGER NOT NULL DEFAULT 0,
  "isActive"      BOOLEAN NOT NULL DEFAULT true,
  "allowDownload" BOOLEAN NOT NULL DEFAULT true,
  "createdById"   TEXT NOT NULL,
  "createdAt"     TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT asset_external_links_pkey PRIMARY KEY ("id"),
  CONSTRAINT "asset_external_links_assetId_fkey" FOREIGN KEY ("assetId") REFERENCES assets ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "asset_external_links_createdById_fkey" FOREIGN KEY ("createdById") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "asset_external_links_token_key" ON asset_external_links ("token");
CREATE INDEX "asset_external_links_assetId_idx" ON asset_external_links ("assetId");
CREATE INDEX "asset_external_links_expiresAt_idx" ON asset_external_links ("expiresAt");

CREATE TABLE invitations (
  "id"           TEXT NOT NULL,
  "email"        TEXT NOT NULL,
  "token"        TEXT NOT NULL,
  "status"       "InvitationStatus" NOT NULL DEFAULT 'PENDING',
  "expires"      TIMESTAMP(3) NOT NULL,
  "projectId"    TEXT NOT NULL,
  "role"         TEXT NOT NULL DEFAULT 'MEMBER',
  "permissions"  JSONB,
  "invitedById"  TEXT NOT NULL,
  "acceptedById" TEXT,
  "createdAt"    TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updatedAt"    TIMESTAMP(3) NOT NULL,
  CONSTRAINT invitations_pkey PRIMARY KEY ("id"),
  CONSTRAINT "invitations_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES projects ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "invitations_invitedById_fkey" FOREIGN KEY ("invitedById") REFERENCES "User" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "invitations_acceptedById_fkey" FOREIGN KEY ("acceptedById") REFERENCES "User" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "invitations_token_key" ON invitations ("token");
CREATE INDEX "invitations_status_idx" ON invitations ("status");
CREATE INDEX "invitations_expires_idx" ON invitations ("expires");

CREATE TABLE search_history (
  "id"            TEXT NOT NULL,
  "userId"        TEXT NOT NULL,
  "query"         TEXT NOT NULL,
  "filters"       JSONB,
  "resultCount"   INTEGER NOT NULL DEFAULT 0,
  "clickedAssets" TEXT[],
  "createdAt"     TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT search_history_pkey PRIMARY KEY ("id"),
  CONSTRAINT "search_history_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "search_history_createdAt_idx" ON search_history ("createdAt");
CREATE INDEX "search_history_query_idx" ON search_history ("query");
CREATE INDEX "search_history_userId_idx" ON search_history ("userId");

CREATE TABLE notifications (
  "id"                   TEXT NOT NULL,
  "type"                 "NotificationType" NOT NULL,
  "title"                TEXT NOT NULL,
  "message"              TEXT NOT NULL,
  "read"                 BOOLEAN NOT NULL DEFAULT false,
  "data"                 JSONB,
  "createdAt"            TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "userId"               TEXT NOT NULL,
  "projectId"            TEXT,
  "taskId"               TEXT,
  "milestoneId"          TEXT,
  "meetingId"            TEXT,
  "articleId"            TEXT,
  "translationRequestId" TEXT,
  CONSTRAINT notifications_pkey PRIMARY KEY ("id"),
  CONSTRAINT "notifications_articleId_fkey" FOREIGN KEY ("articleId") REFERENCES articles ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "notifications_meetingId_fkey" FOREIGN KEY ("meetingId") REFERENCES meetings ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "notifications_milestoneId_fkey" FOREIGN KEY ("milestoneId") REFERENCES milestones ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "notifications_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES projects ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "notifications_taskId_fkey" FOREIGN KEY ("taskId") REFERENCES tasks ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "notifications_translationRequestId_fkey" FOREIGN KEY ("translationRequestId") REFERENCES translation_requests ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "notifications_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "notifications_articleId_idx" ON notifications ("articleId");
CREATE INDEX "notifications_createdAt_idx" ON notifications ("createdAt");
CREATE INDEX "notifications_projectId_idx" ON notifications ("projectId");
CREATE INDEX "notifications_translationRequestId_idx" ON notifications ("translationRequestId");
CREATE INDEX "notifications_userId_read_idx" ON notifications ("userId", "read");

CREATE TABLE notification_preferences (
  "id"                    TEXT NOT NULL,
  "userId"                TEXT NOT NULL,
  "emailEnabled"          BOOLEAN NOT NULL DEFAULT true,
  "emailAssetApproved"    BOOLEAN NOT NULL DEFAULT true,
  "emailAssetRejected"    BOOLEAN NOT NULL DEFAULT true,
  "emailReviewAssigned"   BOOLEAN NOT NULL DEFAULT true,
  "emailAssetShared"      BOOLEAN NOT NULL DEFAULT true,
  "emailCollectionShared" BOOLEAN NOT NULL DEFAULT true,
  "inAppEnabled"          BOOLEAN NOT NULL DEFAULT true,
  "inAppAssetApproved"    BOOLEAN NOT NULL DEFAULT true,
  "inAppAssetRejected"    BOOLEAN NOT NULL DEFAULT true,
  "inAppReviewAssigned"   BOOLEAN NOT NULL DEFAULT true,
  "inAppAssetShared"      BOOLEAN NOT NULL DEFAULT true,
  "inAppCollectionShared" BOOLEAN NOT NULL DEFAULT true,
  "inAppSystemUpdates"    BOOLEAN NOT NULL DEFAULT true,
  "digestEnabled"         BOOLEAN NOT NULL DEFAULT false,
  "digestFrequency"       TEXT NOT NULL DEFAULT 'weekly'::text,
  "lastDigestSent"        TIMESTAMP(3),
  "createdAt"             TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updatedAt"             TIMESTAMP(3) NOT NULL,
  CONSTRAINT notification_preferences_pkey PRIMARY KEY ("id"),
  CONSTRAINT "notification_preferences_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "notification_preferences_userId_key" ON notification_preferences ("userId");

CREATE TABLE client_uploads (
  "id"          TEXT NOT NULL,
  "fileName"    TEXT NOT NULL,
  "fileKey"     TEXT NOT NULL,
  "fileSize"    BIGINT NOT NULL,
  "mimeType"    TEXT NOT NULL,
  "description" TEXT,
  "folder"      TEXT DEFAULT 'general'::text,
  "projectId"   TEXT NOT NULL,
  "uploadedBy"  TEXT NOT NULL,
  "createdAt"   TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updatedAt"   TIMESTAMP(3) NOT NULL,
  CONSTRAINT client_uploads_pkey PRIMARY KEY ("id"),
  CONSTRAINT "client_uploads_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES projects ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "client_uploads_uploadedBy_fkey" FOREIGN KEY ("uploadedBy") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "client_uploads_createdAt_idx" ON client_uploads ("createdAt");
CREATE INDEX "client_uploads_folder_idx" ON client_uploads ("folder");
CREATE INDEX "client_uploads_projectId_idx" ON client_uploads ("projectId");
CREATE INDEX "client_uploads_uploadedBy_idx" ON client_uploads ("uploadedBy");
