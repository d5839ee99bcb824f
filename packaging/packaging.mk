.PHONY: deb rpm image check-packages

# The files of this tree, in $(BUILD)/$1/signalbus-$(VERSION).
copy_tree = rm -rf $(BUILD)/$1 && mkdir -p $(BUILD)/$1/signalbus-$(VERSION) && \
	if [ -e .git ]; then git ls-files -z --cached --others --exclude-standard; \
	else find . -path ./build -prune -o -type f -printf '%P\0'; fi | \
	while IFS= read -r -d '' file; do [ ! -f "$$file" ] || printf '%s\0' "$$file"; done | \
	tar --create --null --files-from=- | tar --extract --directory=$(BUILD)/$1/signalbus-$(VERSION)

deb: SHELL := /bin/bash
deb: deps-deb ## build build/deb/signalbus_*.deb
	$(call copy_tree,deb)
	cp -r packaging/debian $(BUILD)/deb/signalbus-$(VERSION)/debian
	cd $(BUILD)/deb/signalbus-$(VERSION) && env -u MAKEFLAGS -u MAKELEVEL dpkg-buildpackage -b -us -uc

# Debian's rpm does not know what Debian has installed.
rpm: SHELL := /bin/bash
rpm: deps-rpm ## build build/rpm/RPMS/*/signalbus-*.rpm
	$(call copy_tree,rpm)
	mkdir -p $(BUILD)/rpm/SOURCES
	tar -C $(BUILD)/rpm -czf $(BUILD)/rpm/SOURCES/signalbus-$(VERSION).tar.gz signalbus-$(VERSION)
	env -u MAKEFLAGS -u MAKELEVEL rpmbuild -bb $(if $(wildcard /etc/debian_version),--nodeps) \
		--define '_topdir $(abspath $(BUILD))/rpm' packaging/signalbus.spec

check-packages: deps-packages ## install the packages in fresh roots, under systemd; build the image (as root)
	@$(MAKE) --no-print-directory all deb rpm
	tests/kafka/fetch build/kafka/lib
	SIGNALBUS=$(abspath $(BINARY)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/integration -m packages
