.PHONY: install uninstall

unitdir     := $(PREFIX)/lib/systemd/system
sysusersdir := $(PREFIX)/lib/sysusers.d
tmpfilesdir := $(PREFIX)/lib/tmpfiles.d
bashdir     := $(PREFIX)/share/bash-completion/completions
zshdir      := $(PREFIX)/share/zsh/site-functions
# Installed files name the default paths.
REPATH := sed -i -e 's|/usr/local/share/doc/signalbus|$(docdir)|g' -e 's|/usr/local/lib/systemd/system|$(unitdir)|g' \
	-e 's|/usr/local/bin/|$(bindir)/|g' \
	-e 's|/usr/local/share/bash-completion/completions|$(bashdir)|g' -e 's|/usr/local/share/zsh/site-functions|$(zshdir)|g' \
	-e 's|/etc/signalbus|$(sysconfdir)/signalbus|g'
# The links of the installed documents: no page of man and no folder of conf is next to them.
RELINK := sed -e 's|(\(\(\.\./\)*\)conf/|(\1|g' \
	-e 's,\[\([^]]*\)\](\(\.\./\)*\(man/[^)]*\|conf\)),\1,g'
# Without libsystemd the daemon cannot tell systemd how it does.
REUNIT := $(REPATH) $(if $(HAVE_SYSTEMD),,-e 's/^Type=notify/Type=exec/' -e '/^WatchdogSec=/d')

install: all $(BUILD)/signalbus.spdx ## install under DESTDIR, PREFIX (default /usr/local), sysconfdir (default /etc)
	install -d "$(DESTDIR)$(bindir)" "$(DESTDIR)$(mandir)/man1" "$(DESTDIR)$(mandir)/man5" \
		"$(DESTDIR)$(docdir)" "$(DESTDIR)$(unitdir)" "$(DESTDIR)$(sysusersdir)" \
		"$(DESTDIR)$(tmpfilesdir)" "$(DESTDIR)$(bashdir)" "$(DESTDIR)$(zshdir)" \
		"$(DESTDIR)$(sysconfdir)/signalbus"
	install -m 755 $(BINARY) "$(DESTDIR)$(bindir)/signalbus"
	install -m 644 man/signalbus.1 "$(DESTDIR)$(mandir)/man1/"
	install -m 644 man/signalbus.conf.5 "$(DESTDIR)$(mandir)/man5/"
	install -m 644 conf/completions/signalbus.bash "$(DESTDIR)$(bashdir)/signalbus"
	install -m 644 conf/completions/_signalbus "$(DESTDIR)$(zshdir)/"
	install -m 644 *.md LICENSE signalbus.conf.example conf/signalbus.cron conf/grants.sql $(BUILD)/signalbus.spdx \
		"$(DESTDIR)$(docdir)/"
	install -d "$(DESTDIR)$(docdir)/examples" "$(DESTDIR)$(docdir)/docs"
	for folder in prometheus grafana kubernetes helm/signalbus helm/signalbus/templates; do \
		find conf/$$folder -maxdepth 1 -type f -exec install -D -m 644 -t "$(DESTDIR)$(docdir)/$$folder" {} +; done
	install -m 644 conf/examples/* "$(DESTDIR)$(docdir)/examples/"
	install -m 644 docs/*.md docs/*.svg docs/*.pml "$(DESTDIR)$(docdir)/docs/"
	$(RELINK) -i "$(DESTDIR)$(docdir)/README.md" "$(DESTDIR)$(docdir)"/docs/*.md
	install -m 644 conf/signalbus.service conf/signalbus@.service "$(DESTDIR)$(unitdir)/"
	install -m 644 conf/signalbus.sysusers "$(DESTDIR)$(sysusersdir)/signalbus.conf"
	install -m 644 conf/signalbus.tmpfiles "$(DESTDIR)$(tmpfilesdir)/signalbus.conf"
	$(REUNIT) "$(DESTDIR)$(unitdir)/signalbus.service" "$(DESTDIR)$(unitdir)/signalbus@.service"
	$(REPATH) "$(DESTDIR)$(tmpfilesdir)/signalbus.conf" "$(DESTDIR)$(docdir)/signalbus.cron" \
		"$(DESTDIR)$(docdir)/signalbus.conf.example" "$(DESTDIR)$(docdir)/README.md" \
		"$(DESTDIR)$(docdir)"/docs/*.md \
		"$(DESTDIR)$(mandir)/man1/signalbus.1" "$(DESTDIR)$(mandir)/man5/signalbus.conf.5"

uninstall: ## remove installed files, except the configuration
	rm -f "$(DESTDIR)$(bindir)/signalbus" "$(DESTDIR)$(mandir)/man1/signalbus.1" \
		"$(DESTDIR)$(mandir)/man5/signalbus.conf.5" "$(DESTDIR)$(unitdir)/signalbus.service" \
		"$(DESTDIR)$(unitdir)/signalbus@.service" "$(DESTDIR)$(sysusersdir)/signalbus.conf" \
		"$(DESTDIR)$(tmpfilesdir)/signalbus.conf" "$(DESTDIR)$(bashdir)/signalbus" \
		"$(DESTDIR)$(zshdir)/_signalbus"
	rm -rf "$(DESTDIR)$(docdir)"
	for folder in "$(sysconfdir)/signalbus" "$(unitdir)" "$(PREFIX)/lib/systemd" "$(sysusersdir)" "$(tmpfilesdir)" \
			"$(bashdir)" "$(PREFIX)/share/bash-completion" "$(zshdir)" "$(PREFIX)/share/zsh"; do \
		[ ! -d "$(DESTDIR)$$folder" ] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$folder"; \
	done
