-- What a database role needs to work these queues of Kayan Live, and no more: asset, thumbnail, variant, email, notification, analytics, cleanup.
-- Printed by `kayan grants`. Run it in the app's database, with `psql -v ON_ERROR_STOP=1 -f`, as a superuser, or as an owner
-- of the app's tables who is a member of that role and may create schemas. Once more does no harm, and nothing is taken away.
BEGIN;

-- The way in: the database and the schema of the app's tables.
DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), 'kayan_workers'); END $$;
GRANT USAGE ON SCHEMA "public" TO "kayan_workers";

-- asset
GRANT SELECT, UPDATE ON "public"."assets" TO "kayan_workers";  -- size, dimensions and state of a file
GRANT SELECT, INSERT, UPDATE ON "public"."asset_metadata" TO "kayan_workers";  -- what a file says of itself
GRANT SELECT ON "public"."asset_variants" TO "kayan_workers";  -- keys and rows that name an object, before one is deleted

-- thumbnail
GRANT SELECT, UPDATE ON "public"."assets" TO "kayan_workers";  -- the thumbnail's key
GRANT SELECT ON "public"."asset_variants" TO "kayan_workers";  -- keys and rows that name an object, before one is deleted

-- variant
GRANT SELECT, UPDATE ON "public"."assets" TO "kayan_workers";  -- the preview's key and the state
GRANT SELECT, INSERT, UPDATE, DELETE ON "public"."asset_variants" TO "kayan_workers";  -- a row for each variant

-- notification
GRANT SELECT ("id"), INSERT ON "public"."notifications" TO "kayan_workers";  -- one row for each; the id tells which are written already
GRANT SELECT ON "public"."notification_preferences" TO "kayan_workers";  -- what the user wants to hear of
GRANT SELECT ("id") ON "public"."User" TO "kayan_workers";  -- whether what a payload points at is there
GRANT SELECT ("id") ON "public"."projects" TO "kayan_workers";  -- whether what a payload points at is there
GRANT SELECT ("id") ON "public"."tasks" TO "kayan_workers";  -- whether what a payload points at is there
GRANT SELECT ("id") ON "public"."milestones" TO "kayan_workers";  -- whether what a payload points at is there
GRANT SELECT ("id") ON "public"."meetings" TO "kayan_workers";  -- whether what a payload points at is there

-- analytics
GRANT SELECT ("assetId", "date", "views", "downloads"), INSERT, UPDATE ("views", "downloads") ON "public"."asset_analytics" TO "kayan_workers";  -- daily counters
GRANT SELECT ("id"), INSERT ON "public"."asset_activities" TO "kayan_workers";  -- one row for each; the id tells which are written already
GRANT SELECT ("id"), INSERT ON "public"."search_history" TO "kayan_workers";  -- one row for each; the id tells which are written already
GRANT SELECT ("id") ON "public"."assets" TO "kayan_workers";  -- whether what a payload points at is there
GRANT SELECT ("id") ON "public"."User" TO "kayan_workers";  -- whether what a payload points at is there
GRANT SELECT ("id") ON "public"."collections" TO "kayan_workers";  -- whether what a payload points at is there

-- cleanup
GRANT SELECT, UPDATE ("processingStatus", "processingError", "updatedAt"), DELETE ON "public"."assets" TO "kayan_workers";  -- uploads that never arrived; stuck assets
GRANT SELECT, UPDATE ("id"), DELETE ON "public"."asset_variants" TO "kayan_workers";  -- variants of archived assets, locked while their objects go
GRANT SELECT ("id", "expiresAt", "isActive"), UPDATE ("isActive") ON "public"."asset_share_links" TO "kayan_workers";  -- expired links are switched off
GRANT SELECT ("id", "date"), UPDATE ("id"), DELETE ON "public"."asset_analytics" TO "kayan_workers";  -- counters a year old, locked while they go

-- Optional, each for the cleanup of its variable. Leave out what is off or not set.
-- KAYAN_CLEANUP_EXPIRED_EXTERNAL_LINKS
DO $$ BEGIN IF to_regclass('"public"."asset_external_links"') IS NOT NULL THEN GRANT SELECT ("id", "expiresAt", "isActive"), UPDATE ("isActive") ON "public"."asset_external_links" TO "kayan_workers"; END IF; END $$;  -- expired links are switched off
-- KAYAN_CLEANUP_EXPIRED_INVITATIONS
DO $$ BEGIN IF to_regclass('"public"."invitations"') IS NOT NULL THEN GRANT SELECT ("id", "expires", "status"), UPDATE ("status", "updatedAt") ON "public"."invitations" TO "kayan_workers"; END IF; END $$;  -- unanswered ones are marked as expired
-- KAYAN_RETENTION_ASSET_ACTIVITIES_DAYS
GRANT SELECT ("id", "createdAt"), UPDATE ("id"), DELETE ON "public"."asset_activities" TO "kayan_workers";  -- old rows go
-- KAYAN_RETENTION_NOTIFICATIONS_DAYS
GRANT SELECT ("id", "createdAt", "read"), UPDATE ("id"), DELETE ON "public"."notifications" TO "kayan_workers";  -- old, read rows go
-- KAYAN_RETENTION_SEARCH_HISTORY_DAYS
GRANT SELECT ("id", "createdAt"), UPDATE ("id"), DELETE ON "public"."search_history" TO "kayan_workers";  -- old rows go
-- KAYAN_RETENTION_SHARE_LINK_ACCESS_DAYS
GRANT SELECT ("id", "createdAt"), UPDATE ("id"), DELETE ON "public"."share_link_access" TO "kayan_workers";  -- old rows go

-- The workers' own tables, which they make themselves: what has been done, so that it happens once, and who removed what.
-- Their owner needs no more. The grants are for a role that shares them with another: again, once the tables are there.
CREATE SCHEMA IF NOT EXISTS kayan_workers AUTHORIZATION "kayan_workers";
GRANT USAGE, CREATE ON SCHEMA kayan_workers TO "kayan_workers";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA kayan_workers TO "kayan_workers";

COMMIT;
