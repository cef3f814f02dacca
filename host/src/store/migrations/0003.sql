-- Format 3: what is known of a plugin that did not end by itself.

ALTER TABLE outcome ADD COLUMN card TEXT;           -- failed: JSON, at most 16 KiB; NULL: the plugin ended by itself
